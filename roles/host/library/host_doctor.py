#!/usr/bin/python
"""Report who Ansible is on a host, with which Python, and how much room there is. Changes nothing."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_doctor
short_description: Report user, Python and free disk of a host, and what the trial helper may do there
description:
  - Reports who the module runs as, whether that user becomes root without a password, and the room where the
    directories are or would be.
  - The action of the same name adds the answers of the trial helper's C(probe).
options:
  directories:
    description: Directories by name; those that are not there are looked up at the nearest parent that is.
    type: dict
    required: true
  install_command:
    description: How this distribution installs packages; returned as it came.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Reports the same in check mode, since it changes nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Look at what a trial needs
  host_doctor:
    helper_archive: /on/the/control/machine/cgidhost.pyz
    directories: {cache: /var/cache/cgidlab, work: /var/tmp/cgidlab-0}
"""

RETURN = r"""
python:
  description: The interpreter that runs modules on this host.
  type: str
  returned: always
python_version:
  description: Its version.
  type: str
  returned: always
user:
  description: The user that modules run as.
  type: str
  returned: always
root:
  description: Whether that is root.
  type: bool
  returned: always
sudo:
  description: Whether sudo makes it root without a password.
  type: bool
  returned: always
free_bytes:
  description: For each directory what this user may still write there.
  type: dict
  returned: always
install_command:
  description: As given.
  type: str
  returned: always
"""

import os
import platform
import pwd
import shutil
import subprocess
import sys

from ansible.module_utils.basic import AnsibleModule


def free_bytes(path):
    """Return what may be written below a path; the nearest parent that exists answers for it."""
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_frsize * (found.f_bfree if os.getuid() == 0 else found.f_bavail)


def user_name():
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def sudo():
    if shutil.which("sudo") is None:
        return False
    process = subprocess.run(
        ["sudo", "-n", "true"],  # noqa: S607 -- found in PATH on purpose
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return process.returncode == 0


def main():
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "dict", "required": True},
            "install_command": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    module.exit_json(
        changed=False,
        python=sys.executable,
        python_version=platform.python_version(),
        user=user_name(),
        root=os.getuid() == 0,
        sudo=os.getuid() != 0 and sudo(),
        free_bytes={name: free_bytes(path) for name, path in module.params["directories"].items()},
        install_command=module.params["install_command"],
    )


if __name__ == "__main__":
    main()
