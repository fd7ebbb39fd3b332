#!/usr/bin/python
"""Make the directories of a host and read what it is: the only module that knows where they are."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_survey
short_description: Make the cache and work directories and read the facts of a host
description:
  - Creates the cache directory (everybody may enter, only the owner writes) and the work directory (the owner alone
    reads and writes, others may only pass through) and refuses directories that belong to somebody else.
  - Reads the facts that a result has to carry with it, from C(/proc) and C(/sys).
options:
  cache_dir:
    description: Where builds are kept. Empty means C(/var/cache/cgidlab) for root and C(~/.cache/cgidlab) for others.
    type: str
    default: ""
  work_dir:
    description: Where trials run. Empty means C(/var/tmp/cgidlab-UID).
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Reports directories that would be made, and makes none.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Survey the host
  host_survey:
    cache_dir: /srv/cgidlab
"""

RETURN = r"""
python:
  description: The interpreter that runs modules on this host.
  type: str
  returned: always
uid:
  description: The user the modules run as.
  type: int
  returned: always
dirs:
  description: Paths of C(cache), C(work) and C(helper).
  type: dict
  returned: always
facts:
  description: Kernel, CPUs, memory, clock source, identity of machine and boot.
  type: dict
  returned: always
"""

import hashlib
import os
import stat
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabFailure, fail_with, set_sane_umask


def directories(uid, home, cache_dir, work_dir):
    """Return the paths of cache, work and helper for a user; both options win over the defaults when not empty."""
    default = "/var/cache/cgidlab" if uid == 0 else os.path.join(home, ".cache", "cgidlab")
    cache = cache_dir or default
    for name, path in (("host_cache_dir", cache), ("host_work_dir", work_dir or "/")):
        if not os.path.isabs(path):
            raise LabFailure("%s must be an absolute path, not %r" % (name, path))
    return {
        "cache": os.path.normpath(cache),
        "work": os.path.normpath(work_dir or "/var/tmp/cgidlab-%d" % uid),
        "helper": os.path.join(os.path.normpath(cache), "helper"),
    }


def cpu_model(cpuinfo):
    """Return the CPU's name from the text of /proc/cpuinfo; empty when this architecture does not give one."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return ""


def memory_mb(meminfo):
    """Return MemTotal of /proc/meminfo in MiB."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def read(path):
    """Return the stripped text of a small file, empty when it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def facts():
    """Return what a result has to say about the machine it was measured on."""
    machine_id = read("/etc/machine-id")
    return {
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "cpu_model": cpu_model(read("/proc/cpuinfo")),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": memory_mb(read("/proc/meminfo")),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "machine_id_sha256": hashlib.sha256(machine_id.encode()).hexdigest() if machine_id else "",
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
    }


def ensure(path, mode, check_mode):
    """Make a directory with this mode; return whether that changed anything. LabFailure when it is somebody else's."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not check_mode:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path, mode)
            os.chmod(path, mode)
        return True
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise LabFailure(
            "%s exists and is not a directory of this user" % path,
            fix="remove it, or set host_cache_dir and host_work_dir to other places",
        )
    if stat.S_IMODE(status.st_mode) == mode:
        return False
    if not check_mode:
        os.chmod(path, mode)
    return True


def main():
    module = AnsibleModule(
        argument_spec={"cache_dir": {"type": "str", "default": ""}, "work_dir": {"type": "str", "default": ""}},
        supports_check_mode=True,
    )
    set_sane_umask()
    try:
        dirs = directories(
            os.getuid(), os.path.expanduser("~"), module.params["cache_dir"], module.params["work_dir"]
        )
        changed = ensure(dirs["cache"], 0o755, module.check_mode)
        changed = ensure(dirs["helper"], 0o755, module.check_mode) or changed
        changed = ensure(dirs["work"], 0o711, module.check_mode) or changed
    except (LabFailure, OSError) as error:
        fail_with(module, error, "making the directories")
    module.exit_json(changed=changed, python=sys.executable, uid=os.getuid(), dirs=dirs, facts=facts())


if __name__ == "__main__":
    main()
