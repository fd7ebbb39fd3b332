#!/usr/bin/python
"""Keep what provisioning found, for host_survey to find the next time."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_receipt
short_description: Keep what provisioning found as long as it holds
description:
  - Writes a file into the cache of the host that says what a plan's provisioning found and built, and on which
    files that rests.
  - The module host_survey reads it the next time, and ignores it when any of those files has another size or time.
options:
  cache_dir:
    description: Where builds are kept.
    type: path
    required: true
  key:
    description: Of what was asked for, as host_survey returned it.
    type: str
    required: true
  content:
    description: What was found.
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
- name: Keep what was found
  host_receipt:
    cache_dir: /var/cache/cgidlab
    key: "{{ __host_survey.receipt_key }}"
    content: {tools: {}}
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError, fail_with, set_sane_umask
from ansible.module_utils.lab_receipt import keep


def main():
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "key": {"type": "str", "required": True},
            "content": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    set_sane_umask()
    try:
        changed = keep(module.params["cache_dir"], module.params["key"], module.params["content"])
    except (LabError, OSError) as error:
        fail_with(module, error, "keeping what was found")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
