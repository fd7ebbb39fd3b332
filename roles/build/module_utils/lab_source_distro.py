"""Which version of the distribution's httpd to take: the newest whose source can be fetched, and why no newer."""

from __future__ import absolute_import, division, print_function

import contextlib
import functools
import os
import shutil

from ansible.module_utils import lab_source_apt, lab_source_dnf
from ansible.module_utils.lab_build import LabError

_NO_SOURCE = "offered as a binary, but no package source here has its source"


def candidates(source, binary, newest_first, wanted, is_before=None):
    """Return (versions to try, newest first; skipped versions that have no source and are newer than those).

    `is_before` leaves out versions it says no of. LabError when nothing is left to try.
    """
    order = newest_first([version for version in (*source, *binary) if is_before is None or is_before(version)])
    if wanted:
        order = [version for version in order if version == wanted or version.split("-")[0] == wanted]
    tries = [version for version in order if version in source]
    if not tries:
        raise LabError(
            "the distribution offers no source of httpd%s"
            % (" " + wanted if wanted else " that is older than the one it is compared with" if is_before else ""),
            fix="sources that are offered: %s; or use httpd: upstream:VERSION or path:TARBALL"
            % (", ".join(newest_first(source)) or "none"),
        )
    newer = order[: order.index(tries[0])]
    return tries, [{"version": version, "reason": _NO_SOURCE} for version in newer]


def first_fetched(tries, skipped, fetch):
    """Return the first version that `fetch` brings, and all that were skipped before it, each with its reason.

    The version is None when none could be fetched.
    """
    skipped = list(skipped)
    for version in tries:
        try:
            fetch(version)
        except LabError as failure:
            skipped.append({"version": version, "reason": "its source cannot be fetched: %s" % failure.what})
            continue
        return version, skipped
    return None, skipped


def package_managers(private):
    """Return (kit, functions that make its package managers, in the order to try); LabError when there is none here."""
    if shutil.which("apt-get"):
        return lab_source_apt, [
            lambda: lab_source_apt.PrivateApt(os.path.join(private, "apt")),
            lambda: lab_source_apt.PrivateApt(os.path.join(private, "apt-wide"), wide=True),
        ]
    if shutil.which("dnf"):
        return lab_source_dnf, [lambda: lab_source_dnf.PrivateDnf(os.path.join(private, "dnf"))]
    raise LabError(
        "there is neither apt-get nor dnf here, so no source package of the distribution can be fetched",
        fix="use httpd: upstream:VERSION or path:TARBALL",
    )


def fetch_distro(wanted, directory, private, before=None):
    """Fetch a source package into a directory and return its description, skipped versions included.

    `wanted` is a version, or "previous": the newest one that is older than `before`. Where no entry of the machine
    leads to a source, the other suites of the same archive are tried as well.
    """
    kit, managers = package_managers(private)
    return first_described(managers, kit, "" if before else wanted, directory, before)


def installed_version():
    """Return the version of the package that is installed on this machine; LabError when none is."""
    for kit in (lab_source_apt, lab_source_dnf):
        version = kit.installed()
        if version:
            return version
    raise LabError(
        "no httpd is installed here from a package, so distro:installed means nothing",
        fix="use httpd: distro, which is the newest that the distribution offers, or distro:VERSION",
    )


def first_described(managers, kit, wanted, directory, before=None):
    """Return the description of what the first of several package managers can fetch; LabError when none can."""
    is_before = functools.partial(kit.is_older, than=before) if before else None
    skipped, nothing = [], None
    for make in managers:
        manager = make()
        try:
            tries, newer = candidates(*manager.versions(), kit.newest_first, wanted, is_before)
        except LabError as failure:
            nothing = nothing or failure
            continue
        known = {one["version"] for one in skipped}
        skipped += [one for one in newer if one["version"] not in known]
        tries = [version for version in tries if version not in known]
        version, skipped = first_fetched(tries, skipped, functools.partial(fetch_alone, manager, directory))
        if version is not None:
            return dict(kit.describe(directory, version), skipped=skipped)
    if nothing is not None and not skipped:
        raise nothing
    raise LabError(
        "no source of httpd can be fetched: %s" % "; ".join("%(version)s: %(reason)s" % one for one in skipped),
        fix="check the network, or use httpd: upstream:VERSION or path:TARBALL",
    )


def fetch_alone(manager, directory, version):
    """Fetch a version into a directory; what a failed attempt left there must not be taken for a part of it."""
    for name in os.listdir(directory):
        with contextlib.suppress(IsADirectoryError):
            os.unlink(os.path.join(directory, name))
    manager.fetch(version, directory)
