#!/usr/bin/python
"""Take modules of httpd out of the distribution's packages, which are not installed: the only code that does."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: packaged_modules
short_description: Unpack modules of httpd into the cache without installing their packages
description:
  - Has apt or dnf download a package, by the same index as it would install it from, and keeps the one module of it
    below C(CACHE/packages). A package of dnf's has to be signed where its repository has C(gpgcheck) on.
  - Such a package is made for the distribution's own httpd. Installed it would bring that along, or change how it is
    configured where it is there already; the module alone does neither.
  - What is in the cache is taken as it is, unless C(refresh) says otherwise.
options:
  modules:
    description: By the module's file name without C(.so), the package that has it.
    type: dict
    default: {}
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  refresh:
    description: Look for a newer package although one is in the cache.
    type: bool
    default: false
  repositories:
    description: Repositories of dnf to look in that are not enabled everywhere.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Reports where it would be, and fetches nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Provide mod_fcgid
  packaged_modules:
    modules: {mod_fcgid: libapache2-mod-fcgid}
    cache_dir: /var/cache/cgidlab
"""

RETURN = r"""
tools:
  description: For each module its C(path) and C(version); one that cannot be had has a null C(path) and a C(reason).
  type: dict
  returned: always
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    MARKER,
    LabError,
    building,
    fail_with,
    make_directory,
    set_sane_umask,
    sha256_file,
    write_json,
)
from ansible.module_utils.lab_packages import cached, manager, place_of_modules, the_one
from ansible.module_utils.lab_reach import check, package_sources


def provide(name, package, place, packages):
    """Return (what the marker says of a module, whether it is new in the cache); LabError where it cannot be had."""
    make_directory(place)
    work = tempfile.mkdtemp(prefix="fetch-", dir=place)
    try:
        packages.fetch(package, work)
        path = the_one(work, lambda entry: entry.endswith(packages.suffix), "what was downloaded")
        version = packages.version(path)
        directory = os.path.join(place, "%s-%s" % (name, version.replace(os.sep, "_")))
        with building(directory) as (_lock, other):
            if other is not None:
                return other, False
            packages.unpack(path, work)
            module = os.path.join(directory, name + ".so")
            shutil.copyfile(the_one(work, lambda entry: entry == name + ".so", name + ".so"), module)
            os.chmod(module, 0o644)
            done = {"path": module, "version": version, "package": package, "sha256": sha256_file(module)}
            write_json(os.path.join(directory, MARKER), done)
            return done, True
    finally:
        shutil.rmtree(work, ignore_errors=True)


def provide_all(modules, place, repositories, *, refresh, check_mode):
    """Return (each module as a tool, whether one of them is new)."""
    tools, changed = {}, False
    for name, package in modules.items():
        done = None if refresh else cached(name, place)
        if done is None and check_mode:
            tools[name], changed = {"path": os.path.join(place, name, name + ".so"), "version": ""}, True
            continue
        try:
            if done is None:
                urls, proxies = package_sources()
                check("what packages come from", urls, proxies)
                done, new = provide(name, package, place, manager(repositories))
                changed = changed or new
            tools[name] = {"path": done["path"], "version": done["version"]}
        except LabError as failure:
            tools[name] = {"path": None, "reason": "%s cannot be taken out of %s: %s" % (name, package, failure.what)}
    return tools, changed


def main():
    module = AnsibleModule(
        argument_spec={
            "modules": {"type": "dict", "default": {}},
            "cache_dir": {"type": "path", "required": True},
            "refresh": {"type": "bool", "default": False},
            "repositories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    params = module.params
    place = place_of_modules(params["cache_dir"])
    try:
        tools, changed = provide_all(
            params["modules"],
            place,
            params["repositories"],
            refresh=params["refresh"],
            check_mode=module.check_mode,
        )
    except OSError as error:
        fail_with(module, error, "unpacking packages")
    module.exit_json(changed=changed, tools=tools)


if __name__ == "__main__":
    main()
