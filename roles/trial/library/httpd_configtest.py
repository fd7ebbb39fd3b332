#!/usr/bin/python
"""Have an httpd read configurations without starting: what it does not take is said as it says it."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: httpd_configtest
short_description: Check configurations with httpd -t
description:
  - Writes each configuration into a directory of its own, has C(httpd -t) read it, and removes both.
  - Fails with httpd's own words for the first that it does not take, and with the line that they are about.
options:
  configurations:
    description: C(binary), C(conf) (its text, with the marks of a trial's) and C(cell), which names it in the message.
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Does the same in check mode, since nothing stays.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Check a configuration
  httpd_configtest:
    configurations:
      - binary: /var/cache/cgidlab/httpd/1/bin/httpd
        cell: "listen_backlog=100"
        conf: "Listen 127.0.0.1:8080"
"""

RETURN = r"""
checked:
  description: How many were good.
  type: int
  returned: success
"""

import os
import re
import shutil
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule

_LINE = re.compile(r"on line (\d+) of \S+:\s*(.*)", re.DOTALL)


def complaint(said, conf):
    """Return what httpd says is wrong, on one line and with the line of the configuration that it is about."""
    found = _LINE.search(said)
    if found is None:
        return " ".join(said.split()) or "it said nothing"
    lines, number = conf.splitlines(), int(found.group(1))
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return "`%s`: %s" % (text, " ".join(found.group(2).split()))


def fix(wrong):
    """Return what to do about it: a module that cannot be loaded is no directive to correct."""
    if wrong.startswith("`LoadModule "):
        return "this httpd cannot load that module: leave the handler that needs it out with --only handler=..."
    return "correct extra_directives; a directive of another module needs its LoadModule as well"


def check(binary, conf):
    """Return what is wrong with a configuration, '' if nothing is."""
    directory = tempfile.mkdtemp(prefix="cgidlab-conf-")
    try:
        os.mkdir(os.path.join(directory, "logs"))
        for mark, value in (("@TRIAL_DIR@", directory), ("@RUN_DIR@", directory), ("@PORT@", "8080")):
            conf = conf.replace(mark, value)
        path = os.path.join(directory, "httpd.conf")
        with open(path, "w") as file:
            file.write(conf)
        process = subprocess.run(
            [binary, "-t", "-f", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return "" if process.returncode == 0 else complaint(process.stdout.decode("utf-8", "replace"), conf)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    module = AnsibleModule(
        argument_spec={"configurations": {"type": "list", "elements": "dict", "required": True}},
        supports_check_mode=True,
    )
    for one in module.params["configurations"]:
        try:
            wrong = check(one["binary"], one["conf"])
        except (OSError, subprocess.TimeoutExpired) as error:
            wrong = "httpd -t could not be run: %s" % error
        if wrong:
            module.fail_json(
                msg="httpd does not take the configuration of the cell %s: %s\nfix: %s"
                % (one["cell"], wrong, fix(wrong))
            )
    module.exit_json(changed=False, checked=len(module.params["configurations"]))


if __name__ == "__main__":
    main()
