#!/usr/bin/python
"""Say of each handler whether this host can have what it needs, before anything is installed or built."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: systems_offered
short_description: Report which handlers no repository of the host has the packages of
description:
  - Asks apt or dnf, once for all, which of the packages that are not installed some repository has. An index of apt
    that lacks some of them is fetched anew first, as root.
  - A program that is there by other means needs no package. A module of httpd that is in the cache needs none either.
  - Where the package manager cannot be asked nothing is lacking; who installs will say what is wrong.
options:
  handlers:
    description: By handler what it needs, as in the role's C(vars).
    type: dict
    required: true
  family:
    description: The name that the packages of this host's family have there.
    type: str
    required: true
  missing:
    description: Packages that are not installed.
    type: list
    elements: str
    required: true
  tools:
    description: The programs that were looked for, with a C(path) each.
    type: dict
    required: true
  found_in:
    description: By package a repository that has it and that not every host has.
    type: dict
    default: {}
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  repositories:
    description: Repositories of dnf to look in that are not enabled everywhere.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Asks the same in check mode, but fetches no index.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: See whether fcgiwrap can be had
  systems_offered:
    handlers: {fcgiwrap: {program: fcgiwrap, RedHat: [fcgiwrap]}}
    family: RedHat
    missing: [fcgiwrap]
    tools: {fcgiwrap: {path: null}}
    found_in: {fcgiwrap: EPEL 9}
    cache_dir: /var/cache/cgidlab
"""

RETURN = r"""
lacking:
  description: Packages that are not installed and that no repository has.
  type: list
  elements: str
  returned: always
reasons:
  description: For each handler that cannot be had a sentence that says why.
  type: list
  elements: str
  returned: always
unknown:
  description: Why the package manager could not be asked, empty where it was.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError
from ansible.module_utils.lab_packages import cached, manager, place_of_modules
from ansible.module_utils.lab_reach import check, package_sources


def still_needed(about, family, missing, place):
    """Return (packages that are not installed, of a program or for it; the package of a module that is not cached)."""
    packages = [name for name in about[family] if name in missing]
    module = about.get("module")
    return packages, [] if module is None or cached(module["name"], place) else [module[family]]


def why_not(handler, about, packages, modules, tools, lacking, found_in):
    """Return why a handler cannot be had, empty where it can: a program that is there came by other means."""
    there = tools.get(about["program"], {}).get("path") is not None
    absent = [name for name in ([] if there else packages) + modules if name in lacking]
    if not absent:
        return ""
    said = "%s needs %s, which no repository of this host has" % (handler, " and ".join(absent))
    return said + hint(absent, found_in)


def hint(packages, found_in):
    """Return which other repositories have some packages, in brackets; empty where none is known to."""
    places = {}
    for name in packages:
        if name in found_in:
            places.setdefault(found_in[name], []).append(name)
    if list(places.values()) == [packages]:
        return " (%s has %s)" % (found_in[packages[0]], "it" if len(packages) == 1 else "them")
    said = ["%s has %s" % (place, " and ".join(names)) for place, names in places.items()]
    return " (%s)" % ", ".join(said) if said else ""


def judge(params, packages_of, *, may_update):
    """Return (packages that cannot be had, reasons by handler); LabError where the package manager cannot be asked.

    `packages_of` makes the package manager, which is asked for nothing where nothing is needed.
    """
    place = place_of_modules(params["cache_dir"])
    needs = {
        name: still_needed(about, params["family"], params["missing"], place)
        for name, about in params["handlers"].items()
    }
    wanted = list(dict.fromkeys(name for packages, modules in needs.values() for name in packages + modules))
    lacking = packages_of().lacking(wanted, may_update=may_update) if wanted else []
    reasons = [
        why_not(name, about, *needs[name], params["tools"], lacking, params["found_in"])
        for name, about in params["handlers"].items()
    ]
    return lacking, [reason for reason in reasons if reason]


def main():
    module = AnsibleModule(
        argument_spec={
            "handlers": {"type": "dict", "required": True},
            "family": {"type": "str", "required": True},
            "missing": {"type": "list", "elements": "str", "required": True},
            "tools": {"type": "dict", "required": True},
            "found_in": {"type": "dict", "default": {}},
            "cache_dir": {"type": "path", "required": True},
            "repositories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )

    def packages():
        urls, proxies = package_sources()
        check("what packages come from", urls, proxies)
        return manager(module.params["repositories"])

    try:
        lacking, reasons = judge(module.params, packages, may_update=not module.check_mode)
    except LabError as failure:
        module.exit_json(changed=False, lacking=[], reasons=[], unknown=failure.what)
    module.exit_json(changed=False, lacking=lacking, reasons=reasons, unknown="")


if __name__ == "__main__":
    main()
