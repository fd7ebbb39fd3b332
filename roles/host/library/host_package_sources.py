#!/usr/bin/python
"""Say within seconds that no source of packages can be reached, with the names that were tried."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_package_sources
short_description: Refuse to install packages where none can be fetched
description:
  - Connects to each host that apt or dnf would fetch from, or to the proxy that they use, all at once, for 8 s at most.
  - Fails with their names and reasons when none can be reached. Fetches nothing and changes nothing.
options: {}
attributes:
  check_mode:
    support: full
    description: Asks the same in check mode, since it changes nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: See whether packages can be fetched
  host_package_sources:
"""

RETURN = r"""
sources:
  description: URLs of the sources that the package manager has.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError
from ansible.module_utils.lab_reach import check, package_sources


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    urls, proxies = package_sources()
    try:
        check("what packages come from", urls, proxies)
    except LabError as failure:
        module.fail_json(msg=str(failure))
    module.exit_json(changed=False, sources=urls)


if __name__ == "__main__":
    main()
