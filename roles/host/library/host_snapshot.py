#!/usr/bin/python
"""Documentation of the action plug-in host_snapshot, which runs the trial helper on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_snapshot
short_description: Write down how a host is at this moment
description:
  - Has the trial helper say which sysctls, processes, listeners, mounts, services, files and bpf programs there are.
  - Writes that to the control machine, as a whole or not at all. Changes nothing on the host unless asked to clean it.
options:
  python:
    description: Python on the host that runs the helper.
    type: path
    required: true
  helper:
    description: Path of the helper on the host.
    type: path
    required: true
  work_dir:
    description: Where trials run on the host.
    type: path
    required: true
  cache_dir:
    description: Where builds are kept on the host.
    type: path
    required: true
  dest:
    description: The file on the control machine.
    type: path
    required: true
  clean:
    description: Whether to undo what dead blocks of earlier runs left before looking.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Does nothing in check mode.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Write down how the host is
  host_snapshot:
    python: /usr/bin/python3
    helper: /var/cache/cgidlab/helper/0123456789abcdef/cgidhost.pyz
    work_dir: /var/tmp/cgidlab-0
    cache_dir: /var/cache/cgidlab
    dest: /on/the/control/machine/local.begin.json
"""

RETURN = r""" # """
