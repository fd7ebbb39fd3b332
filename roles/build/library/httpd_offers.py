#!/usr/bin/python
"""Say which versions of httpd can be had on this host, and from where: looks at everything, keeps nothing."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: httpd_offers
short_description: List the versions of httpd that can be had here
description:
  - Asks the distribution's package sources (apt also whether the source package is really there, since an index may
    list what its mirror lacks), the Apache project's archive and the cache. Builds nothing.
options:
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  mirror:
    description: Where releases of the Apache project are published.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is changed anyway, but for the package manager's private index in the cache.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: List versions
  httpd_offers:
    cache_dir: /var/cache/cgidlab
    mirror: https://archive.apache.org/dist/httpd
"""

RETURN = r"""
offers:
  description: >-
    Each with C(httpd) (what to write), C(version), C(origin), C(verified) (how), C(available), and C(reason) where not.
  type: list
  elements: dict
  returned: always
"""

import os
import re
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import LabError, fail_with, finished, set_sane_umask
from ansible.module_utils.lab_source_distro import package_managers

_TIMEOUT_S = 15
_RELEASE = re.compile(r"\bhttpd-(\d+\.\d+\.\d+)\.tar\.gz\"")
_BY_INDEX = "the distribution's signed index"
_BY_SIGNATURE = "checksum and signature of the project"


def offer(httpd, version, origin, verified, reason=""):
    """Return one line of the list; a reason says that it cannot be had now."""
    return {
        "httpd": httpd,
        "version": version,
        "origin": origin,
        "verified": verified,
        "available": not reason,
        "reason": reason,
    }


def releases_in(text):
    """Return the releases that a directory listing names, newest first."""
    found = set(_RELEASE.findall(text))
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def of_distribution(private):
    """Return what the package manager's sources hold, each version once, newest first."""
    try:
        kit, managers = package_managers(private)
    except LabError as failure:
        return [offer("distro", "", "distribution", "", failure.what)]
    found = {}
    for make in managers:
        try:
            manager = make()
            source, binary = manager.versions()
        except LabError as failure:
            found.setdefault("", offer("distro", "", "distribution", "", failure.what))
            continue
        for version in source:
            if version not in found or not found[version]["available"]:
                found[version] = offer("distro:" + version, version, kit.ORIGIN, _BY_INDEX, manager.why_not(version))
        for version in binary:
            why = "offered as a binary, but no package source here has its source"
            found.setdefault(version, offer("distro:" + version, version, kit.ORIGIN, "", why))
    complaint = found.pop("", None)
    if not found:
        return [complaint] if complaint else []
    return [found[version] for version in kit.newest_first(found)]


def of_project(mirror):
    """Return the releases of the Apache project, or one line that says why they cannot be had."""
    origin = "upstream"
    try:
        # A file: URL is as good: what is fetched later is verified.
        with urllib.request.urlopen(mirror.rstrip("/") + "/", timeout=_TIMEOUT_S) as answer:  # noqa: S310 -- as said
            text = answer.read().decode("utf-8", "replace")
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        return [offer("upstream:VERSION", "", origin, _BY_SIGNATURE, "cannot be reached: %s" % why)]
    return [offer("upstream:" + version, version, origin, _BY_SIGNATURE) for version in releases_in(text)]


def of_cache(cache_dir):
    """Return what was fetched or built before, and is there without any network."""
    offers = []
    sources = os.path.join(cache_dir, "sources")
    for name in sorted(os.listdir(sources)) if os.path.isdir(sources) else []:
        done = finished(os.path.join(sources, name))
        if done and name.startswith(("distro-", "upstream-")):
            kind = name.partition("-")[0]
            verified = _BY_INDEX if kind == "distro" else _BY_SIGNATURE
            offers.append(offer("%s:%s" % (kind, done["version"]), done["version"], "cache", verified))
    builds = os.path.join(cache_dir, "httpd")
    for name in sorted(os.listdir(builds)) if os.path.isdir(builds) else []:
        done = finished(os.path.join(builds, name))
        if done and "version" in done:
            offers.append(offer("", done["version"], "built: " + done["source"], ""))
    return offers


def main():
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "mirror": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    cache = module.params["cache_dir"]
    try:
        offers = of_distribution(os.path.join(cache, "sources", "private"))
        offers += of_project(module.params["mirror"])
        offers += of_cache(cache)
    except (LabError, OSError) as error:
        fail_with(module, error, "listing versions of httpd")
    module.exit_json(changed=False, offers=offers)


if __name__ == "__main__":
    main()
