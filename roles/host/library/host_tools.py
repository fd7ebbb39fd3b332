#!/usr/bin/python
"""Find which packages are missing and where programs are, without changing anything or needing root."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_tools
short_description: Report missing packages, and path and version of programs
description:
  - Asks dpkg or rpm which of the packages are not installed, and each program for its version.
  - A program may bear its version behind its name, as php-fpm8.2 does.
  - Changes nothing and needs no privileges, so a host that has everything needs none either.
options:
  packages:
    description: Packages that have to be there.
    type: list
    elements: str
    default: []
  programs:
    description: Names of programs, each with the arguments that make it print its version.
    type: dict
    default: {}
  why_missing:
    description: What kept a package from being installed, to be told of each program that is missing.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Runs the same queries in check mode, since they change nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Look for a driver
  host_tools:
    packages: [nghttp2-client]
    programs: {h2load: [--version]}
"""

RETURN = r"""
missing:
  description: Packages that are not installed.
  type: list
  elements: str
  returned: always
can_become_without_asking:
  description: Whether this user is root or sudo asks for no password.
  type: bool
  returned: always
tools:
  description: For each program its C(path) and C(version); a missing one has a null C(path) and a C(reason).
  type: dict
  returned: always
"""

import os
import re
import shutil
import subprocess

from ansible.module_utils.basic import AnsibleModule

_VERSION = re.compile(r"\d+(\.\d+)+[\w.~+-]*")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def version_in(text):
    """Return the first version number in a program's output, the whole first line when it has none."""
    found = _VERSION.search(text)
    return found.group(0).rstrip(".,") if found else text.strip().partition("\n")[0].rstrip()


def installed_dpkg(text):
    r"""Return the names that `dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n'` lists as installed."""
    lines = (line.split() for line in text.splitlines())
    return {fields[1] for fields in lines if len(fields) > 1 and fields[0][1:] == "i"}


def missing_rpm(text):
    """Return the names that `rpm -q --whatprovides` says nothing provides."""
    return re.findall(r"^no package provides (\S+)|^package (\S+) is not installed", text, re.MULTILINE)


def run(argv):
    process = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, LC_ALL="C"),
        check=False,
    )
    return process.returncode, process.stdout.decode("utf-8", "replace")


def missing(packages):
    """Return those of the packages that are not installed, in their order."""
    if not packages:
        return []
    if shutil.which("dpkg-query"):
        text = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\\n", *packages])[1]
        there = installed_dpkg(text)
        return [name for name in packages if name not in there]
    text = run(["rpm", "-q", "--whatprovides", *packages])[1]
    absent = {name for pair in missing_rpm(text) for name in pair if name}
    return [name for name in packages if name in absent]


def find(name, path):
    """Return where a program is, or the newest that bears a version behind its name, such as php-fpm8.2."""
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    versioned = re.compile(re.escape(name) + r"(\d[\d.]*)")
    there = {}
    for directory in filter(None, path.split(":")):
        for entry in os.listdir(directory) if os.path.isdir(directory) else ():
            match = versioned.fullmatch(entry)
            if match and shutil.which(entry, path=directory):
                there.setdefault(tuple(int(n) for n in match.group(1).split(".") if n), os.path.join(directory, entry))
    return there[max(there)] if there else None


def look_for(name, arguments, why_missing):
    """Return path and version of a program, or a null path and the reason."""
    path = find(name, os.environ.get("PATH", "") + ":" + _SYSTEM_PATH)
    if path is None:
        return {"path": None, "reason": ": ".join(filter(None, ["%s is not installed" % name, why_missing]))}
    try:
        code, text = run([path, *arguments])
    except OSError as error:
        return {"path": None, "reason": "%s does not start: %s" % (path, error.strerror)}
    if code != 0 and not _VERSION.search(text):
        return {"path": None, "reason": "%s exited %d: %s" % (path, code, text.strip()[:200])}
    return {"path": path, "version": version_in(text)}


def can_become_without_asking():
    if os.getuid() == 0:
        return True
    return shutil.which("sudo") is not None and run(["sudo", "-n", "true"])[0] == 0


def main():
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "programs": {"type": "dict", "default": {}},
            "why_missing": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    absent = missing(params["packages"])
    module.exit_json(
        changed=False,
        missing=absent,
        can_become_without_asking=not absent or can_become_without_asking(),
        tools={
            name: look_for(name, arguments, params["why_missing"]) for name, arguments in params["programs"].items()
        },
    )


if __name__ == "__main__":
    main()
