"""Sources that are already on the host, and how any source is unpacked into a tree that configure can be run in."""

from __future__ import absolute_import, division, print_function

import fnmatch
import hashlib
import os
import re
import shutil
import tarfile

from ansible.module_utils.lab_build import LabError, run_step, sha256_file

# What an earlier build in the same tree leaves behind: taken along, it would be linked instead of built.
_BUILT = ("*.o", "*.lo", "*.la", "*.slo", "*.a", ".libs", "config.status", "config.log", "config.nice", "*.pyc")
_BUILT_PATHS = ("httpd", "modules.c", "server/gen_test_char", "include/ap_config_auto.h", "include/ap_config_layout.h")
_VERSION_PART = re.compile(r"^#define AP_SERVER_(MAJOR|MINOR|PATCH)\w*_NUMBER\s+(\d+)", re.MULTILINE)


def ignored(directory, names, root):
    """Return those names of a directory that belong to version control or to an earlier build."""
    here = os.path.relpath(directory, root)
    skip = {name for name in names if name in (".git", ".svn") or any(fnmatch.fnmatch(name, p) for p in _BUILT)}
    skip |= {name for name in names if os.path.normpath(os.path.join(here, name)) in _BUILT_PATHS}
    # configure writes a Makefile beside each Makefile.in
    return skip | {name for name in names if name == "Makefile" and "Makefile.in" in names}


def tree_sha256(root):
    """Return one SHA-256 over names, modes and contents of a source tree, leaving out what `ignored` leaves out."""
    digest = hashlib.sha256()
    for directory, directories, files in os.walk(root):
        skip = ignored(directory, [*directories, *files], root)
        directories[:] = sorted(set(directories) - skip)
        for name in sorted(set(files) - skip):
            path = os.path.join(directory, name)
            content = os.readlink(path) if os.path.islink(path) else sha256_file(path)
            executable = os.stat(path).st_mode & 0o100 if os.path.exists(path) else 0
            digest.update(("%s\0%o\0%s\0" % (os.path.relpath(path, root), executable, content)).encode())
    return digest.hexdigest()


def version_of_tree(root):
    """Return the version in include/ap_release.h; LabError when this is no source of httpd."""
    path = os.path.join(root, "include", "ap_release.h")
    try:
        with open(path) as file:
            parts = dict(_VERSION_PART.findall(file.read()))
        return "%(MAJOR)s.%(MINOR)s.%(PATCH)s" % parts
    except (OSError, KeyError) as error:
        raise LabError(
            "this is no source tree of httpd: it has no readable include/ap_release.h", where=root
        ) from error


def describe_path(path, base=None):
    """Return the description of a local tree or tarball; LabError when it is neither.

    A relative path is one from `base`: the project's directory when the host is the control machine, else None.
    """
    if not os.path.isabs(path):
        if base is None:
            raise LabError("path:%s must be absolute on the host" % path, fix="write path:/the/whole/path")
        path = os.path.normpath(os.path.join(base, path))
    if os.path.isdir(path):
        version = version_of_tree(path)
        return _local(path, version, "tree", tree_sha256(path))
    if os.path.isfile(path) and tarfile.is_tarfile(path):
        return _local(path, "", "tar", sha256_file(path))
    raise LabError(
        "%s is %s" % (path, "no tar archive" if os.path.exists(path) else "not there"),
        fix="give an unpacked source tree of httpd or its tarball, on the host where it is built",
    )


def _local(path, version, unpack, sha256):
    return {
        "source": "path %s" % path,
        "version": version,
        "unpack": unpack,
        "path": path,
        "sha256": sha256,
        "skipped": [],
    }


def unpack(description, target, directory, lock):
    """Unpack a source to `target`, keeping its time stamps (make would regenerate files and ask for bison).

    Logs go to `directory`. A checkout gets its configure. LabError when the result has none all the same.
    """
    kind, path = description["unpack"], description["path"]
    if kind == "dsc":
        run_step("unpack", ["dpkg-source", "--no-check", "--no-copy", "-x", path, target], directory, directory, lock)
    elif kind == "srpm":
        _unpack_srpm(path, target, directory, lock)
    elif kind == "tree":
        shutil.copytree(path, target, symlinks=True, ignore=lambda where, names: ignored(where, names, path))
    else:
        unpack_tar(path, target)
    if not os.path.exists(os.path.join(target, "configure")):
        _make_configure(path, target, directory, lock)
    if not os.access(os.path.join(target, "configure"), os.X_OK):
        raise LabError("this source has no configure that can be run", where=path, fix="take a release, which has one")


def _make_configure(path, target, directory, lock):
    """Run buildconf in a checkout, with the build files of the APR that is installed where buildconf can use them."""
    script = os.path.join(target, "buildconf")
    if not os.path.isfile(script):
        raise LabError("this source has neither configure nor buildconf", where=path, fix="take a release of httpd")
    missing = [name for name in ("autoconf", "automake", "libtoolize") if shutil.which(name) is None]
    if missing:
        raise LabError(
            "this is a checkout, and to make its configure %s is needed" % ", ".join(missing),
            where=path,
            fix="install autoconf, automake and libtool, or run ./buildconf in it, or take a release",
        )
    argv = ["sh", "./buildconf"]
    with open(script, errors="replace") as file:
        knows_installed = "APR-Config Mode" in file.read()
    if knows_installed and shutil.which("apr-1-config"):
        argv.append("--with-apr=" + shutil.which("apr-1-config"))
    run_step("buildconf", argv, target, directory, lock)


def unpack_tar(path, target):
    """Unpack a tarball's only directory to `target`; LabError when a member would lead out of it."""
    outer = target + ".tar"
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            name = os.path.normpath(member.name)
            if (
                os.path.isabs(name)
                or name.split(os.sep)[0] == ".."
                or not (member.isreg() or member.isdir() or member.issym())
            ):
                raise LabError("the archive has a member that leads out of it: %s" % member.name, where=path)
            if member.issym() and (os.path.isabs(member.linkname) or ".." in member.linkname.split("/")):
                raise LabError("the archive has a link that leads out of it: %s" % member.name, where=path)
            archive.extract(member, outer, set_attrs=not member.issym())
    _promote_only_directory(outer, target, path)


def _unpack_srpm(path, target, directory, lock):
    top = target + ".rpm"
    define = ["--define", "_topdir " + top]
    run_step("unpack", ["rpm", *define, "--nosignature", "-i", path], directory, directory, lock)
    spec = os.path.join(top, "SPECS", "httpd.spec")
    # -bp unpacks and applies the distribution's patches; --nodeps because only configure is run afterwards.
    run_step("prepare", ["rpmbuild", *define, "--nodeps", "-bp", spec], directory, directory, lock)
    for here, _directories, files in sorted(os.walk(os.path.join(top, "BUILD"))):
        if "configure" in files and os.path.isfile(os.path.join(here, "include", "ap_release.h")):
            os.rename(here, target)
            shutil.rmtree(top)
            return
    raise LabError("the source package unpacks to no source tree of httpd", where=path)


def _promote_only_directory(outer, target, path):
    names = os.listdir(outer)
    if len(names) != 1 or not os.path.isdir(os.path.join(outer, names[0])):
        raise LabError("the archive does not hold one directory with the source", where=path)
    os.rename(os.path.join(outer, names[0]), target)
    os.rmdir(outer)
