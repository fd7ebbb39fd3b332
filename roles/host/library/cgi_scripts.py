#!/usr/bin/python
"""Compile the CGI scripts of trials into the cache."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: cgi_scripts
short_description: Compile CGI scripts
description:
  - Compiles each C source into a program, all of them in C(CACHE/scripts/KEY), where only the owner may write.
  - Where C(slowing) is given, compiles each with that too, into the directory C(slowed) beside them.
options:
  sources:
    description: C sources by name of the script.
    type: dict
    required: true
  slowing:
    description: C source of what makes a script slower. Without it there are no slower builds.
    type: str
    default: ""
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  compiler:
    description: The C compiler.
    type: str
    default: gcc
attributes:
  check_mode:
    support: full
    description: Reports that scripts would be compiled, and compiles none.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Compile the scripts
  cgi_scripts:
    sources: {hello: "{{ lookup('ansible.builtin.file', 'hello.c') }}"}
    slowing: "{{ lookup('ansible.builtin.file', 'slowed.c') }}"
    cache_dir: /var/cache/cgidlab
"""

RETURN = r"""
scripts_dir:
  description: Where the scripts are.
  type: str
  returned: always
slowed_dir:
  description: Where the slower builds are, by the same names; empty where none are made.
  type: str
  returned: always
scripts:
  description: C(path) and C(sha256) of each script by its name.
  type: dict
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    LabError,
    building,
    compiler_version,
    fail_with,
    finished,
    key_of,
    run_step,
    set_sane_umask,
    sha256_file,
    write_json,
)

SLOWED = "slowed"


def ensure(sources, slowing, cache_dir, compiler, check_mode):
    """Return (directory, scripts, whether they were compiled now)."""
    more = {"slowing": slowing} if slowing else {}
    key = key_of({"sources": sources, "compiler": compiler_version(compiler), **more})
    directory = os.path.join(cache_dir, "scripts", key[:16])
    done = finished(directory)
    if done is not None or check_mode:
        return directory, (done or {}).get("scripts", {}), done is None
    with building(directory) as (lock, other):
        if other is not None:
            return directory, other["scripts"], False
        scripts = {}
        for name, text in sorted(sources.items()):
            source, program = _written(directory, name, text), os.path.join(directory, name)
            run_step(name, [compiler, "-O2", "-o", program, source], directory, directory, lock)
            if slowing:
                slower = _written(directory, SLOWED, slowing)
                os.makedirs(os.path.join(directory, SLOWED), exist_ok=True)
                target = os.path.join(directory, SLOWED, name)
                run_step("slowed-" + name, [compiler, "-O2", "-o", target, source, slower], directory, directory, lock)
                os.unlink(slower)
            os.unlink(source)
            scripts[name] = {"path": program, "sha256": sha256_file(program)}
        write_json(os.path.join(directory, "build.json"), {"scripts": scripts})
    return directory, scripts, True


def _written(directory, name, text):
    source = os.path.join(directory, name + ".c")
    with open(source, "w") as file:
        file.write(text)
    return source


def main():
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "dict", "required": True},
            "slowing": {"type": "str", "default": ""},
            "cache_dir": {"type": "path", "required": True},
            "compiler": {"type": "str", "default": "gcc"},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    params = module.params
    try:
        directory, scripts, changed = ensure(
            params["sources"], params["slowing"], params["cache_dir"], params["compiler"], module.check_mode
        )
    except (LabError, OSError) as error:
        fail_with(module, error, "compiling the CGI scripts")
    slowed_dir = os.path.join(directory, SLOWED) if params["slowing"] else ""
    module.exit_json(changed=changed, scripts_dir=directory, slowed_dir=slowed_dir, scripts=scripts)


if __name__ == "__main__":
    main()
