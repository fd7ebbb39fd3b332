#!/usr/bin/python
"""Make the directories of a host and read what it is."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_survey
short_description: Make the cache and work directories and read the facts of a host
description:
  - Creates the cache directory (everybody may enter, only the owner writes) and the work directory (the owner alone
    reads and writes, others may only pass through) and refuses directories that belong to somebody else.
  - Looks at owner, mode and links of all that lies in the cache, and refuses to go on with what another user put there.
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
  helper_sha256:
    description: Hash of the trial helper on the control machine, filled in by the action of the same name.
    type: str
    default: ""
  receipt_key:
    description: Of what a plan needs, filled in by the action of the same name. Empty means that none is looked for.
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
    helper_archive: /on/the/control/machine/cgidhost.pyz
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
  description: Paths of C(cache) and C(work).
  type: dict
  returned: always
helper:
  description: Where the trial helper of this content belongs.
  type: str
  returned: always
helper_is_there:
  description: Whether it is there, whole.
  type: bool
  returned: always
os_family:
  description: C(Debian) or C(RedHat), or the distribution's own name where it is neither.
  type: str
  returned: always
selinux:
  description: C(enforcing) or C(permissive), empty where there is no SELinux.
  type: str
  returned: always
receipt:
  description: What an earlier provisioning found for the same key, empty where that is not there or does not hold.
  type: dict
  returned: always
receipt_key:
  description: The key that was looked for.
  type: str
  returned: always
facts:
  description: Kernel, CPUs, memory, clock source, identity of machine and boot.
  type: dict
  returned: always
"""

import hashlib
import os
import stat
import subprocess
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError, fail_with, set_sane_umask, sha256_file
from ansible.module_utils.lab_receipt import held
from ansible.module_utils.lab_trust import check_above, check_cache

# The name is known to others, so `ensure` refuses a directory that somebody else has put there.
_WORK_DIR = "/var/tmp/cgidlab-%d"  # noqa: S108 -- as said


def directories(uid, home, cache_dir, work_dir):
    """Return the paths of cache and work for a user; both options win over the defaults when not empty."""
    default = "/var/cache/cgidlab" if uid == 0 else os.path.join(home, ".cache", "cgidlab")
    cache = cache_dir or default
    for name, path in (("host_cache_dir", cache), ("host_work_dir", work_dir or "/")):
        if not os.path.isabs(path):
            raise LabError("%s must be an absolute path, not %r" % (name, path))
    return {
        "cache": os.path.normpath(cache),
        "work": os.path.normpath(work_dir or _WORK_DIR % uid),
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


def parse_os_release(text):
    """Return the fields of /etc/os-release without their quotes."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def os_family(release):
    """Return Debian or RedHat for a distribution that is one or descends from one, else its own name."""
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    if {"debian", "ubuntu"} & set(names):
        return "Debian"
    if {"rhel", "centos", "fedora"} & set(names):
        return "RedHat"
    return release.get("ID", "unknown")


def selinux_mode(enforce):
    """Return what the text of /sys/fs/selinux/enforce says; empty where there is no such file."""
    return {"1": "enforcing", "0": "permissive"}.get(enforce, "")


def virtualization():
    """Return what systemd takes this machine for (none, kvm, docker ...), empty when it cannot be asked."""
    try:
        process = subprocess.run(
            ["systemd-detect-virt"],  # noqa: S607 -- found in PATH on purpose
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return ""
    return process.stdout.decode().strip()


def facts(release):
    """Return what a result has to say about the machine it was measured on."""
    machine_id = read("/etc/machine-id")
    return {
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "distribution": release.get("NAME", ""),
        "distribution_version": read("/etc/debian_version")
        if release.get("ID") == "debian"
        else release.get("VERSION_ID", ""),
        "cpu_model": cpu_model(read("/proc/cpuinfo")),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": memory_mb(read("/proc/meminfo")),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "machine_id_sha256": hashlib.sha256(machine_id.encode()).hexdigest() if machine_id else "",
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        "virtualization": virtualization(),
    }


def ensure(path, mode, check_mode):
    """Make a directory with this mode; return whether that changed anything. LabError when it is somebody else's."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not check_mode:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path, mode)
            os.chmod(path, mode)
        return True
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise LabError(
            "%s exists and is not a directory of this user" % path,
            fix="remove it, or set host_cache_dir and host_work_dir to other places",
        )
    if stat.S_IMODE(status.st_mode) == mode:
        return False
    if not check_mode:
        os.chmod(path, mode)
    return True


def is_whole(path, sha256):
    """Tell whether a file is there with this content."""
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


def main():
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "str", "default": ""},
            "work_dir": {"type": "str", "default": ""},
            "helper_sha256": {"type": "str", "default": ""},
            "receipt_key": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    params = module.params
    try:
        dirs = directories(os.getuid(), os.path.expanduser("~"), params["cache_dir"], params["work_dir"])
        # Named by its content, so that a new helper never replaces one that a running block still reads from.
        helper = os.path.join(dirs["cache"], "helper", params["helper_sha256"][:16], "cgidhost.pyz")
        wanted = [(dirs["cache"], 0o755), (os.path.dirname(os.path.dirname(helper)), 0o755)]
        wanted += [(os.path.dirname(helper), 0o755), (dirs["work"], 0o711)]
        changed = sum(ensure(path, mode, module.check_mode) for path, mode in wanted) > 0
        if not module.check_mode:  # which only asks where things are
            check_cache(dirs["cache"])
            check_above(dirs["work"])
        receipt = held(dirs["cache"], params["receipt_key"]) if params["receipt_key"] else None
    except (LabError, OSError) as error:
        fail_with(module, error, "making the directories")
    release = parse_os_release(read("/etc/os-release"))
    module.exit_json(
        changed=changed,
        python=sys.executable,
        uid=os.getuid(),
        dirs=dirs,
        helper=helper,
        helper_is_there=is_whole(helper, params["helper_sha256"]),
        os_family=os_family(release),
        selinux=selinux_mode(read("/sys/fs/selinux/enforce")),
        receipt=receipt or {},
        receipt_key=params["receipt_key"],
        facts=facts(release),
    )


if __name__ == "__main__":
    main()
