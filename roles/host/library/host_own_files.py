#!/usr/bin/python
"""Look whether the user's own files are in the cache as the experiment names them, and can be run."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: host_own_files
short_description: Check the user's own scripts and lists of requests
description:
  - Compares what lies in C(CACHE/own/SHA256) with the checksum that the experiment's plan has.
  - Looks for the interpreter of each script. Nothing of the user's is started.
options:
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  files:
    description: C(name), C(file) and C(sha256) of each.
    type: list
    elements: dict
    required: true
  run:
    description: Whether they are programs.
    type: bool
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Look at a script
  host_own_files:
    cache_dir: /var/cache/cgidlab
    files: [{name: "path:status.cgi", file: status.cgi, sha256: "{{ __sha256 }}"}]
    run: true
"""

RETURN = r"""
files:
  description: C(path) and C(sha256) of each by its name; of a script also its C(interpreter).
  type: dict
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError, fail_with, sha256_file

# What a trial's server has, and so its scripts (cgidhost.process).
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def interpreter_of(first_line):
    """Return the program that a script's first line names, by its path or for env to find; "" for no script."""
    if not first_line.startswith(b"#!"):
        return ""
    words = first_line[2:].decode("utf-8", "replace").split()
    if os.path.basename(words[0]) != "env":
        return words[0]
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return named[0] if named else words[0]


def found(program):
    """Return the path of a program that is there and can be run, "" for none."""
    places = [program] if "/" in program else [os.path.join(place, program) for place in _PATH.split(":")]
    there = (os.path.realpath(place) for place in places if os.path.isfile(place) and os.access(place, os.X_OK))
    return next(there, "")


def looked_at(name, path, sha256, run):
    """Return what is there; LabError when it is something else, or cannot be run here."""
    has = sha256_file(path)
    if has != sha256:
        what = "%s is not what the experiment names: want sha256 %s, found %s"
        raise LabError(what % (name, sha256, has), where=path)
    answer = {"path": path, "sha256": has}
    if not run:
        return answer
    with open(path, "rb") as file:
        program = interpreter_of(file.readline(300).rstrip())
    if not program:
        return answer
    real = found(program)
    if not real:
        raise LabError(
            "the interpreter of %s is not on this host: %s" % (name, program),
            where=path,
            fix="install it there (a trial's PATH is %s), or correct the script's first line" % _PATH,
        )
    return dict(answer, interpreter={"path": real, "sha256": sha256_file(real)})


def main():
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True},
            "run": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    answer = {}
    try:
        for one in module.params["files"]:
            path = os.path.join(module.params["cache_dir"], "own", one["sha256"][:16], one["file"])
            answer[one["name"]] = looked_at(one["name"], path, one["sha256"], module.params["run"])
    except (LabError, OSError) as error:
        fail_with(module, error, "looking at the user's own files")
    module.exit_json(changed=False, files=answer)


if __name__ == "__main__":
    main()
