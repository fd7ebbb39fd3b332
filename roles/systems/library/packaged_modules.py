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

import contextlib
import os
import shutil
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    MARKER,
    LabError,
    building,
    fail_with,
    finished,
    make_directory,
    run_step,
    set_sane_umask,
    sha256_file,
    write_json,
)
from ansible.module_utils.lab_reach import check, package_sources


class Apt:
    """Packages of Debian and Ubuntu. apt refuses what its signed index does not vouch for."""

    suffix = ".deb"

    def __init__(self, repositories):
        """`repositories` are of dnf alone."""
        del repositories

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
        self._options = ["--setopt=%s.enabled=1" % name for name in repositories]

    def fetch(self, package, directory):
        """Download a package; LabError where it is not signed as its repository asks: `dnf download` does not look."""
        arch = said(["rpm", "--eval", "%{_arch}"])
        argv = ["dnf", "-q", *self._options, "download", "--destdir", directory, "--arch", arch, package]
        run_step("download", argv, directory, directory, None)
        path = the_one(directory, lambda entry: entry.endswith(self.suffix), "what was downloaded")
        query = ["repoquery", "--latest-limit", "1", "--qf", "%{repoid}\\n", "--arch", arch, package]
        repositories = sorted(set(said(["dnf", "-q", *self._options, *query]).split()))
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


def cached(name, place):
    """Return what the marker of the newest one in the cache says, None when there is none."""
    there = [os.path.join(place, entry) for entry in (os.listdir(place) if os.path.isdir(place) else ())]
    mine = [path for path in there if os.path.basename(path).startswith(name + "-") and finished(path)]
    return finished(max(mine, key=lambda path: os.path.getmtime(os.path.join(path, MARKER)))) if mine else None


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
    place = os.path.join(params["cache_dir"], "packages")
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
