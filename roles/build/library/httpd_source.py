#!/usr/bin/python
"""Fetch the source of httpd: decides which version, verifies it, and keeps it in the cache."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: httpd_source
short_description: Fetch sources of httpd into a cache
description:
  - C(distro) is the newest version whose source package can really be fetched, C(distro:VERSION) that version,
    C(distro:installed) that of the installed package, C(distro:previous) the one before C(distro),
    C(upstream:VERSION) a release of the Apache project, out of C(tarballs) or with checksum and signature verified,
    C(path:DIR_OR_TARBALL) a local source, C(git:REPOSITORY#REF) a commit, branch or tag.
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
  tarballs:
    description: Tarballs that are taken in place of a download, as C(path) and C(sha256).
    type: list
    elements: dict
    default: []
  tarballs_dir:
    description: Where they are on this host, as C(SHA256[:16]/NAME).
    type: path
    default: ''
  base_dir:
    description: Where relative paths begin. Empty means that they mean nothing here.
    type: str
    default: ''
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
import re
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
    sha256_file,
    write_json,
)
from ansible.module_utils.lab_libraries import on_host, tarball_parts
from ansible.module_utils.lab_source_distro import fetch_distro, installed_version
from ansible.module_utils.lab_source_git import describe_git, parse_repository
from ansible.module_utils.lab_source_local import describe_path
from ansible.module_utils.lab_source_upstream import fetch_upstream

_FORMS = (
    "distro, distro:VERSION, distro:installed, distro:previous, upstream:VERSION, path:DIR_OR_TARBALL, "
    "git:REPOSITORY#REF"
)
_KINDS = {"distro": "version", "upstream": "version", "path": "path", "git": "repository", "built": "key"}
_KEY = re.compile(r"[0-9a-f]{16}")  # of a build: the name of its directory in the cache


def parse_spec(spec):
    """Return (kind, argument) of a source's name; LabError naming the forms when it is none of them."""
    kind, colon, argument = spec.partition(":")
    if kind not in _KINDS:
        raise LabError("%r is no source of httpd" % spec, fix="write one of: " + _FORMS)
    if bool(colon) != bool(argument) or (kind != "distro" and not argument):
        raise LabError("%r names no %s" % (spec, _KINDS[kind]), fix="write " + _FORMS)
    if kind == "built" and not _KEY.fullmatch(argument):
        raise LabError("%r is no key of a build" % argument, fix="write built: and its 16 letters")
    if kind == "git":
        parse_repository(argument)
    elif kind != "path" and not all(character.isalnum() or character in ".+~:-_" for character in argument):
        raise LabError("%r is no version" % argument, fix="write " + _FORMS)
    return kind, argument


def known(directory):
    """Return the description of a source in the cache with its path as it is now, None when it is not there whole."""
    done = finished(directory)
    return None if done is None else dict(done, path=os.path.join(directory, done["path"]))


def fetch_into(directory, kind, argument, mirror, private, before):
    """Fetch a source into an empty directory, marker last, and return its description."""
    if kind == "distro":
        description = fetch_distro(argument, directory, private, before)
    else:
        description = fetch_upstream(argument, directory, mirror)
    # By its name alone, because the directory is about to get another one.
    description["path"] = os.path.basename(description["path"])
    write_json(os.path.join(directory, MARKER), description)
    return description


def from_tarballs(version, tarballs):
    """Return the description of a release among tarballs, None when it is not there; LabError for other bytes."""
    for one in tarballs:
        if tarball_parts(one["name"]) != ("httpd", version):
            continue
        found = sha256_file(one["path"])
        if found != one["sha256"]:
            raise LabError(
                "%s does not have the checksum of --sources: want %s, found %s" % (one["name"], one["sha256"], found),
                where=one["path"],
                fix="remove this file and run the command again",
            )
        return {
            "source": "upstream %s, %s of --sources" % (version, one["name"]),
            "version": version,
            "unpack": "tar",
            "path": one["path"],
            "sha256": found,
            "skipped": [],
        }
    return None


def fetch(kind, argument, params, check_mode):
    """Return (description of a source, whether it had to be fetched)."""
    if kind == "built":
        directory = os.path.join(params["cache_dir"], "httpd", argument)
        return {"source": "build %s" % argument, "unpack": "built", "path": directory, "skipped": []}, False
    return fetch_source(kind, argument, params, check_mode)


def fetch_source(kind, argument, params, check_mode):
    """Return (description of a source that has to be built, whether it had to be fetched)."""
    base = params["base_dir"] or None
    if kind == "path":
        return describe_path(argument, base), False
    if check_mode and (kind == "git" or argument == "previous"):
        return {"source": "%s %s" % (kind, argument), "unpack": "later", "skipped": []}, True
    if kind == "git":
        return describe_git(argument, os.path.join(params["cache_dir"], "sources"), base)
    if kind == "upstream":
        here = from_tarballs(argument, on_host(params["tarballs"], params["tarballs_dir"]))
        return (here, False) if here else fetch_and_keep(kind, argument, params, check_mode)
    if argument == "previous":
        newest = fetch_and_keep(kind, "", params, check_mode)[0]["version"]
        return fetch_and_keep(kind, argument, params, check_mode, before=newest)
    return fetch_and_keep(kind, installed_version() if argument == "installed" else argument, params, check_mode)


def fetch_and_keep(kind, argument, params, check_mode, before=None):
    """Return (description of a source in the cache, whether it had to be fetched)."""
    home = os.path.join(params["cache_dir"], "sources")
    place = [kind, argument, *([params["mirror"]] if kind == "upstream" else []), *([before] if before else [])]
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
        private = os.path.join(home, "private")
        description = waiting or fetch_into(fresh, kind, argument, params["mirror"], private, before)
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
            "tarballs": {"type": "list", "elements": "dict", "default": []},
            "tarballs_dir": {"type": "path", "default": ""},
            "base_dir": {"type": "str", "default": ""},
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
