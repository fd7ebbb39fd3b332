#!/usr/bin/python
"""Fetch the source of httpd: decides which version, verifies it, and keeps it in the cache."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: httpd_source
short_description: Fetch sources of httpd into a cache
description:
  - C(distro) is the newest version whose source package can really be fetched, C(distro:VERSION) that version,
    C(upstream:VERSION) a release of the Apache project with checksum and signature verified,
    C(path:DIR_OR_TARBALL) a local source.
  - A source that is in the cache is not looked for again, so what C(distro) means stays the same until it is refreshed.
options:
  specs:
    description: Which sources.
    type: list
    elements: str
    required: true
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  mirror:
    description: Where releases of the Apache project are published, with KEYS beside them.
    type: str
    required: true
  refresh:
    description: Look for a newer source package although one is in the cache.
    type: bool
    default: false
attributes:
  check_mode:
    support: partial
    description: Reports that a source would be fetched, without its version.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Fetch the distribution's httpd
  httpd_source:
    specs: [distro]
    cache_dir: /var/cache/cgidlab
    mirror: https://archive.apache.org/dist/httpd
"""

RETURN = r"""
sources:
  description: For each of C(specs) its C(source), C(version), C(sha256), C(path), C(unpack) and C(skipped).
  type: list
  elements: dict
  returned: always
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    MARKER,
    LabError,
    building,
    fail_with,
    finished,
    key_of,
    make_directory,
    set_sane_umask,
    write_json,
)
from ansible.module_utils.lab_source_distro import fetch_distro
from ansible.module_utils.lab_source_local import describe_path
from ansible.module_utils.lab_source_upstream import fetch_upstream

_FORMS = "distro, distro:VERSION, upstream:VERSION, path:DIR_OR_TARBALL"


def parse_spec(spec):
    """Return (kind, argument) of a source's name; LabError naming the forms when it is none of them."""
    kind, colon, argument = spec.partition(":")
    if kind not in ("distro", "upstream", "path"):
        raise LabError("%r is no source of httpd" % spec, fix="write one of: " + _FORMS)
    if bool(colon) != bool(argument) or (kind != "distro" and not argument):
        raise LabError("%r names no %s" % (spec, "path" if kind == "path" else "version"), fix="write " + _FORMS)
    if kind != "path" and not all(character.isalnum() or character in ".+~:-_" for character in argument):
        raise LabError("%r is no version" % argument, fix="write " + _FORMS)
    return kind, argument


def known(directory):
    """Return the description of a source in the cache with its path as it is now, None when it is not there whole."""
    done = finished(directory)
    return None if done is None else dict(done, path=os.path.join(directory, done["path"]))


def fetch_into(directory, kind, argument, mirror, private):
    """Fetch a source into an empty directory, marker last, and return its description."""
    if kind == "distro":
        description = fetch_distro(argument, directory, private)
    else:
        description = fetch_upstream(argument, directory, mirror)
    # By its name alone, because the directory is about to get another one.
    description["path"] = os.path.basename(description["path"])
    write_json(os.path.join(directory, MARKER), description)
    return description


def fetch(kind, argument, params, check_mode):
    """Return (description of a source, whether it had to be fetched)."""
    if kind == "path":
        return describe_path(argument), False
    home = os.path.join(params["cache_dir"], "sources")
    place = [kind, argument] if kind == "distro" else [kind, argument, params["mirror"]]
    directory = os.path.join(home, "%s-%s" % (kind, key_of(place)[:16]))
    done = known(directory)
    if done is not None and not params["refresh"]:
        return done, False
    if check_mode:
        return {"source": "%s %s" % (kind, argument or "newest"), "unpack": "later", "skipped": []}, True
    make_directory(home)
    # Beside the one there is, so that a refresh that fails takes nothing away.
    fresh = directory + ".new"
    with building(fresh) as (_lock, waiting):
        other = known(directory)
        if other is not None and not params["refresh"]:
            return other, False
        description = waiting or fetch_into(fresh, kind, argument, params["mirror"], os.path.join(home, "private"))
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(fresh, directory)
    changed = done is None or done["sha256"] != description["sha256"]
    return known(directory), changed


def main():
    module = AnsibleModule(
        argument_spec={
            "specs": {"type": "list", "elements": "str", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "mirror": {"type": "str", "required": True},
            "refresh": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    sources, changed = [], False
    for spec in module.params["specs"]:
        try:
            description, fetched = fetch(*parse_spec(spec), params=module.params, check_mode=module.check_mode)
        except (LabError, OSError) as error:
            fail_with(module, error, "fetching the source of httpd (%s)" % spec)
        sources.append(dict(description, spec=spec))
        changed = changed or fetched
        for skipped in description["skipped"]:
            module.log("httpd %s skipped: %s" % (skipped["version"], skipped["reason"]))
    module.exit_json(changed=changed, sources=sources)


if __name__ == "__main__":
    main()
