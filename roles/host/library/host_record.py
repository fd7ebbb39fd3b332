#!/usr/bin/python
"""Documentation of the action plug-in host_record, which runs on the control machine alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record
short_description: Write what provisioning found to the control machine
description:
  - Writes one JSON file on the control machine, as a whole or not at all. Nothing runs on the host.
  - Never reports a change, since the record is not a part of the host.
options:
  dest:
    description: The file on the control machine.
    type: path
    required: true
  content:
    description: What to write.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Writes nothing in check mode.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Write what is there
  host_record:
    dest: /on/the/control/machine/local.json
    content: {schema_version: 1}
"""

RETURN = r""" # """
