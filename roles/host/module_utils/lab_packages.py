"""What this host's package manager knows of packages that are not installed: the only code that asks it and fetches."""

from __future__ import absolute_import, division, print_function

import contextlib
import os
import shutil
import subprocess

from ansible.module_utils.lab_build import MARKER, LabError, finished, run_step


class Apt:
    """Packages of Debian and Ubuntu. apt refuses what its signed index does not vouch for."""

    suffix = ".deb"

    def __init__(self, repositories):
        """`repositories` are of dnf alone."""
        del repositories

    def lacking(self, packages, *, may_update):
        """Return those that no repository has; an index that lacks some is fetched anew first, where that may be."""
        absent = without_candidate(packages, said(["apt-cache", "policy", *packages]))
        if not absent or not may_update or os.geteuid() != 0:
            return absent
        said(["apt-get", "-q", "update"])
        return without_candidate(packages, said(["apt-cache", "policy", *packages]))

    def fetch(self, package, directory):
        """Download a package; as root with a newer index where the present one knows none that is still there."""
        # The directory is this user's; the sandbox user could not write to it.
        argv = ["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", package]
        try:
            run_step("download", argv, directory, directory, None)
        except LabError:
            if os.geteuid() != 0:
                raise
            run_step("update", ["apt-get", "-q", "update"], directory, directory, None)
            run_step("download", argv, directory, directory, None)

    def unpack(self, path, directory):
        """Put what the package holds below a directory."""
        run_step("unpack", ["dpkg-deb", "--extract", path, directory], directory, directory, None)

    def version(self, path):
        """Return the version of a package that was downloaded."""
        return said(["dpkg-deb", "--field", path, "Version"])


class Dnf:
    """Packages of Enterprise Linux."""

    suffix = ".rpm"

    def __init__(self, repositories):
        """`repositories` are looked in although they may not be enabled; one that is not there is passed over."""
        self._argv = ["dnf", "-q", *("--setopt=%s.enabled=1" % name for name in repositories)]

    def lacking(self, packages, *, may_update):
        """Return those that no repository has, by their own name or by what another one says it provides."""
        del may_update  # dnf itself knows how old its index may be
        query = [*self._argv, "repoquery", "--queryformat", "%{name}\\n"]
        named = said([*query, *packages]).split()
        return [name for name in packages if name not in named and not said([*query, "--whatprovides", name])]

    def fetch(self, package, directory):
        """Download a package; LabError where it is not signed as its repository asks: `dnf download` does not look."""
        arch = said(["rpm", "--eval", "%{_arch}"])
        argv = [*self._argv, "download", "--destdir", directory, "--arch", arch, package]
        run_step("download", argv, directory, directory, None)
        path = the_one(directory, lambda entry: entry.endswith(self.suffix), "what was downloaded")
        query = ["repoquery", "--latest-limit", "1", "--qf", "%{repoid}\\n", "--arch", arch, package]
        repositories = sorted(set(said([*self._argv, *query]).split()))
        wanted = [keys for keys in map(self._keys, repositories) if keys is not None]
        if wanted or not repositories:
            keys = [key for keys in wanted for key in keys]
            self._check_signature(path, keys, directory, " or ".join(repositories))

    @staticmethod
    def _keys(repository):
        """Return the files of a repository's keys, None where the host's administrator has signatures not looked at."""
        try:
            lines = said(["dnf", "-q", "config-manager", "--dump", repository]).splitlines()
        except LabError:  # of another dnf: only keys that the system has are believed
            return []
        known = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
        if known.get("gpgcheck") in ("0", "False"):
            return None
        keys = known.get("gpgkey", "").replace(",", " ").split()
        return [key[len("file://") :] for key in keys if key.startswith("file:///")]

    @staticmethod
    def _check_signature(path, keys, directory, repository):
        """Raise LabError where a package is signed neither with a key that rpm has nor with one of its repository."""
        look = ["--define", "_pkgverify_level signature", "--checksig", path]
        own = ["--dbpath", os.path.join(directory, "keys")]
        with contextlib.suppress(LabError):
            said(["rpmkeys", *look])
            return
        for key in keys:
            with contextlib.suppress(LabError):
                said(["rpmkeys", *own, "--import", key])
        try:
            said(["rpmkeys", *own, *look])
        except LabError as failure:
            raise LabError("its package is not signed with a key of its repository %s" % repository) from failure

    def unpack(self, path, directory):
        """Put what the package holds below a directory."""
        script = 'rpm2cpio "$1" | cpio --quiet --extract --make-directories --no-absolute-filenames'
        run_step("unpack", ["sh", "-c", script, "sh", path], directory, directory, None)

    def version(self, path):
        """Return the version of a package that was downloaded."""
        return said(["rpm", "--query", "--package", "--queryformat", "%{version}-%{release}", path])


def without_candidate(packages, text):
    """Return the packages of which `apt-cache policy` names no version that could be installed."""
    offered, name = set(), ""
    for line in text.splitlines():
        if line[:1] not in ("", " "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and not line.rstrip().endswith("(none)"):
            offered.add(name)
    return [package for package in packages if package not in offered]


def the_one(directory, matches, of):
    """Return the one plain file below a directory whose name matches; LabError where there is none, or several."""
    found = [
        os.path.join(place, name)
        for place, _directories, names in os.walk(directory)
        for name in names
        if matches(name) and not os.path.islink(os.path.join(place, name))
    ]
    if len(found) != 1:
        raise LabError("%s: %d files in place of one" % (of, len(found)))
    return found[0]


def said(argv):
    """Return what a program prints on its standard output; LabError when it fails."""
    process = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, LC_ALL="C"),
        check=False,
    )
    if process.returncode != 0:
        raise LabError("%s: %s" % (argv[0], process.stderr.decode("utf-8", "replace").strip()[:200]))
    return process.stdout.decode("utf-8", "replace").strip()


def manager(repositories):
    """Return who knows this host's packages; LabError where nobody does."""
    for program, kind in (("apt-get", Apt), ("dnf", Dnf)):
        if shutil.which(program):
            return kind(repositories)
    raise LabError("there is neither apt-get nor dnf here, so no package of the distribution can be fetched")


def place_of_modules(cache):
    """Return where modules that were taken out of packages are kept, below the host's cache directory."""
    return os.path.join(cache, "packages")


def cached(name, place):
    """Return what the marker of the newest one in the cache says, None when there is none."""
    there = [os.path.join(place, entry) for entry in (os.listdir(place) if os.path.isdir(place) else ())]
    mine = [path for path in there if os.path.basename(path).startswith(name + "-") and finished(path)]
    return finished(max(mine, key=lambda path: os.path.getmtime(os.path.join(path, MARKER)))) if mine else None
