"""Sources that are already on the host, and how any source is unpacked into a tree that configure can be run in."""

from __future__ import absolute_import, division, print_function

import contextlib
import fnmatch
import hashlib
import os
import re
import shutil
import stat
import tarfile

from ansible.module_utils.lab_build import LabError, run_step, sha256_file, sha256_of

# What an earlier build in the same tree leaves behind: taken along, it would be linked instead of built.
_BUILT = ("*.o", "*.lo", "*.la", "*.slo", "*.a", ".libs", "config.status", "config.log", "config.nice", "*.pyc")
_BUILT_PATHS = ("httpd", "modules.c", "server/gen_test_char", "include/ap_config_auto.h", "include/ap_config_layout.h")
_VERSION_PART = re.compile(r"^#define AP_SERVER_(MAJOR|MINOR|PATCH)\w*_NUMBER\s+(\d+)", re.MULTILINE)

RELEASE = os.path.join("include", "ap_release.h")
MOST_UNPACKED_BYTES = 2 << 30  # httpd with APR and PCRE has 0.1 GB
_DEEPEST = 64
_HEADER_BYTES, _SCRIPT_BYTES = 1 << 20, 4 << 20  # of them that are read


def ignored(directory, names, root):
    """Return those names of a directory that belong to version control or to an earlier build."""
    here = os.path.relpath(directory, root)
    skip = {name for name in names if name in (".git", ".svn") or any(fnmatch.fnmatch(name, p) for p in _BUILT)}
    skip |= {name for name in names if os.path.normpath(os.path.join(here, name)) in _BUILT_PATHS}
    # configure writes a Makefile beside each Makefile.in
    return skip | {name for name in names if name == "Makefile" and "Makefile.in" in names}


def members(root):
    """Yield (path below the root, name, descriptor of its directory, status) of all of a tree that `ignored` leaves in.

    Links are not followed, whoever changes the tree meanwhile. LabError for what is no file, directory or link.
    """
    for place, directories, files, at in os.fwalk(root):
        if place[len(root) :].count(os.sep) > _DEEPEST:
            raise LabError("a directory in this source is deeper than %d others" % _DEEPEST, where=root)
        skip = ignored(place, [*directories, *files], root)
        directories[:] = sorted(set(directories) - skip)
        for name in sorted({*directories, *files} - skip):
            about = os.stat(name, dir_fd=at, follow_symlinks=False)
            path = os.path.normpath(os.path.join(os.path.relpath(place, root), name))
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode) or stat.S_ISLNK(about.st_mode)):
                raise LabError("%s in this source is no file" % path, where=root, fix="remove it from the source")
            yield path, name, at, about


def open_member(name, at):
    """Return a plain file of a directory, open for reading; LabError when it has become something else."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LabError("%s changed while it was read" % name)
    return os.fdopen(descriptor, "rb")


def tree_sha256(root):
    """Return one SHA-256 over names, modes and contents of a source tree, leaving out what `ignored` leaves out."""
    digest = hashlib.sha256()
    for path, name, at, about in members(root):
        if stat.S_ISDIR(about.st_mode):
            continue
        if stat.S_ISLNK(about.st_mode):
            executable, content = 0, os.readlink(name, dir_fd=at)
        else:
            executable = about.st_mode & 0o100
            with open_member(name, at) as file:
                content = sha256_of(file)
        digest.update(("%s\0%o\0%s\0" % (path, executable, content)).encode(errors="surrogateescape"))
    return digest.hexdigest()


def copy_tree(root, target, within):
    """Copy a source tree to where it is built, for the build's user, leaving out what `ignored` leaves out."""
    os.mkdir(target, 0o755)
    _hand_over(target, within)
    for path, name, at, about in members(root):
        new = os.path.join(target, path)
        if stat.S_ISDIR(about.st_mode):
            os.mkdir(new, 0o755)
        elif stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(name, dir_fd=at), new)
        else:
            with open_member(name, at) as file, open(new, "xb") as copy:
                shutil.copyfileobj(file, copy)
                os.fchmod(copy.fileno(), stat.S_IMODE(about.st_mode) & 0o755 | 0o600)
            os.utime(new, ns=(about.st_mtime_ns, about.st_mtime_ns))
        _hand_over(new, within)


def _hand_over(path, within):
    if os.geteuid() == 0:
        os.chown(path, within.uid, within.gid, follow_symlinks=False)


def version_of_tree(root):
    """Return the version in include/ap_release.h; LabError when this is no source of httpd."""
    try:
        with open_member(os.path.join(root, RELEASE), None) as file:
            return version_in_release(file.read(_HEADER_BYTES).decode("utf-8", "replace"), root)
    except (OSError, LabError) as error:
        raise _no_source(root) from error


def version_in_release(text, where):
    """Return the version that the text of include/ap_release.h gives; LabError when it gives none."""
    try:
        return "%(MAJOR)s.%(MINOR)s.%(PATCH)s" % dict(_VERSION_PART.findall(text))
    except KeyError as error:
        raise _no_source(where) from error


def _no_source(where):
    return LabError("this is no source tree of httpd: it has no readable %s" % RELEASE, where=where)


def describe_path(path, base=None):
    """Return the description of a local tree or tarball; LabError when it is neither.

    A relative path is one from `base`: the project's directory when the host is the control machine, else None.
    """
    if not os.path.isabs(path):
        if base is None:
            raise LabError("path:%s must be absolute on the host" % path, fix="write path:/the/whole/path")
        path = os.path.normpath(os.path.join(base, path))
    if os.path.isdir(path):
        path = os.path.realpath(path)
        version = version_of_tree(path)
        return _local(path, version, "tree", tree_sha256(path))
    with _chains_refused(path):
        is_tar = os.path.isfile(path) and tarfile.is_tarfile(path)
    if is_tar:
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


def unpack(description, target, directory, lock, within):
    """Unpack a source to `target`, keeping its time stamps (make would regenerate files and ask for bison).

    Logs go to `directory`; `target` is in a directory of the confinement's user, and all of it is that user's. A
    checkout gets its configure. LabError when the result has none all the same.
    """
    kind, path = description["unpack"], description["path"]
    work = os.path.dirname(target)
    if kind in ("dsc", "srpm"):
        within.see(os.path.dirname(path))
    if kind == "dsc":
        argv = ["dpkg-source", "--no-check", "--no-copy", "-x", path, target]
        run_step("unpack", argv, work, directory, lock, within)
    elif kind == "srpm":
        _unpack_srpm(path, target, directory, lock, within)
    elif kind == "tree":
        copy_tree(path, target, within)
    else:
        unpack_tar(path, target, within)
    if not os.path.exists(os.path.join(target, "configure")):
        _make_configure(path, target, directory, lock, within)
    if not os.access(os.path.join(target, "configure"), os.X_OK):
        raise LabError("this source has no configure that can be run", where=path, fix="take a release, which has one")


def _make_configure(path, target, directory, lock, within):
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
    with open_member(script, None) as file:
        knows_installed = b"APR-Config Mode" in file.read(_SCRIPT_BYTES)
    if knows_installed and shutil.which("apr-1-config"):
        argv.append("--with-apr=" + shutil.which("apr-1-config"))
    run_step("buildconf", argv, target, directory, lock, within)


@contextlib.contextmanager
def _chains_refused(path):
    """Raise LabError for an archive whose headers are chained without end, which tarfile reads by recursion."""
    try:
        yield
    except RecursionError as chained:
        raise LabError("the archive has headers of headers without end", where=path) from chained


def unpack_tar(path, target, within):
    """Unpack a tarball's only directory to `target`, for the build's user; LabError when a member leads out of it."""
    outer, total = target + ".tar", 0
    os.mkdir(outer, 0o755)
    with _chains_refused(path), tarfile.open(path) as archive:
        for member in archive:
            name = os.path.normpath(member.name)
            if (
                os.path.isabs(name)
                or name.split(os.sep)[0] == ".."
                or not (member.isreg() or member.isdir() or member.issym())
            ):
                raise LabError("the archive has a member that leads out of it: %s" % member.name, where=path)
            if member.issym() and (os.path.isabs(member.linkname) or ".." in member.linkname.split("/")):
                raise LabError("the archive has a link that leads out of it: %s" % member.name, where=path)
            if name.count(os.sep) > _DEEPEST:
                raise LabError("the archive has a directory deeper than %d others" % _DEEPEST, where=path)
            total += member.size
            if total > MOST_UNPACKED_BYTES:
                raise LabError("the archive unpacks to more than %d bytes" % MOST_UNPACKED_BYTES, where=path)
            # Whose it was and who may write it where it was packed is nobody's business here.
            member.uid, member.gid, member.mode = within.uid, within.gid, member.mode & 0o755 | 0o600
            archive.extract(member, outer, set_attrs=not member.issym(), numeric_owner=True)
            if member.issym():
                _hand_over(os.path.join(outer, member.name), within)
    _promote_only_directory(outer, target, path)
    for place, directories, _files in os.walk(target):  # those that no member names were made by the way
        for name in (".", *directories):
            _hand_over(os.path.join(place, name), within)


def _unpack_srpm(path, target, directory, lock, within):
    top = target + ".rpm"
    work = os.path.dirname(target)
    define = ["--define", "_topdir " + top, "--define", "_tmppath /tmp"]
    run_step("unpack", ["rpm", *define, "--nosignature", "-i", path], work, directory, lock, within)
    spec = os.path.join(top, "SPECS", "httpd.spec")
    # -bp unpacks and applies the distribution's patches; --nodeps because only configure is run afterwards.
    run_step("prepare", ["rpmbuild", *define, "--nodeps", "-bp", spec], work, directory, lock, within)
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
