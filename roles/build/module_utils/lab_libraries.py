"""What a source of httpd needs beside itself, read from its own configure and not looked up by its version."""

from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import tarfile

from ansible.module_utils.lab_build import LabError, output_of, run_step, sha256_file
from ansible.module_utils.lab_source_local import open_member, unpack_tar

_CONFIGURE_BYTES = 16 << 20  # that are read: it has one
_APR = {"apr": "apr-1-config", "apu": "apu-1-config"}
_TARBALL = re.compile(r"(?P<name>httpd|apr|apr-util|pcre2?)-(?P<version>[0-9][\w.~+-]*)\.(tar\.(gz|bz2|xz)|tgz)")


def tarball_parts(name):
    """Return (program, version) of a tarball's file name, None when it is none of those that httpd is built from."""
    found = _TARBALL.fullmatch(name)
    return (found.group("name"), found.group("version")) if found else None


def on_host(tarballs, directory):
    """Return name, path on this host and sha256 of tarballs that were copied into a directory, now or earlier.

    One from earlier counts only where none is given of the same program (of httpd: of the same version), so that
    a run that goes on finds what it began with.
    """
    names = [(os.path.basename(one["path"]), one["sha256"]) for one in tarballs]
    found = [
        {"name": name, "sha256": sha256, "path": os.path.join(directory, sha256[:16], name)} for name, sha256 in names
    ]
    given = {_slot(one["name"]) for one in found}
    return found + [one for one in _kept(directory) if _slot(one["name"]) not in given]


def _slot(name):
    program, version = tarball_parts(name) or (name, "")
    return (program, version if program == "httpd" else "")


def _kept(directory):
    """Return the tarballs below a directory whose content is what the directory above them is named by."""
    kept = []
    for place in sorted(os.listdir(directory)) if directory and os.path.isdir(directory) else []:
        for name in sorted(os.listdir(os.path.join(directory, place))):
            path = os.path.join(directory, place, name)
            sha256 = sha256_file(path) if tarball_parts(name) else ""
            if sha256.startswith(place):
                kept.append({"name": name, "sha256": sha256, "path": path})
    return kept


def configure_of(source):
    """Return the text of a source's configure, None where it has none yet or is a distribution's package.

    A package was made for the libraries of its distribution, so there is nothing to find out.
    """
    if source["unpack"] == "tree":
        path = os.path.join(source["path"], "configure")
        if not os.path.isfile(path):
            return None
        with open_member(path, None) as file:
            return _text(file)
    if source["unpack"] != "tar":
        return None
    with tarfile.open(source["path"], "r|*") as archive:
        for member in archive:
            parts = os.path.normpath(member.name).split(os.sep)
            if len(parts) == 2 and parts[1] == "configure" and member.isreg():  # noqa: PLR2004 -- DIRECTORY/configure
                content = archive.extractfile(member)
                return _text(content) if content else None
    return None


def _text(file):
    return file.read(_CONFIGURE_BYTES).decode("utf-8", "replace")


def wanted_pcre(configure):
    """Return the programs that tell where PCRE is, best first, for one configure. None: it brings its own PCRE."""
    if configure is None or "pcre2-config" in configure:
        return ("pcre2-config", "pcre-config")
    # httpd 2.2 has PCRE in srclib and asks for none.
    return ("pcre-config",) if "pcre-config for libpcre not found" in configure else None


def has_shared_mpms(configure):
    """Tell whether MPMs are modules (2.4 and later) or one of them is part of the program (2.2)."""
    return configure is None or "enable-mpms-shared" in configure


def newest(tarballs, program, before=None):
    """Return the newest tarball of a program, None when there is none; `before` leaves out a version and later ones."""

    def number(text):
        return tuple(int(part) for part in re.findall(r"\d+", text))

    found = []
    for one in tarballs:
        parts = tarball_parts(one["name"])
        if parts and parts[0] == program and (before is None or number(parts[1]) < number(before)):
            found.append((number(parts[1]), one))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def choose(source, configure, tarballs):
    """Return what a source is built with; LabError when something is to be had nowhere.

    `tools` are paths of -config programs, `own` the tarballs that are built along because this machine has no such
    library, `versions` those of both.
    """
    tools, versions, own = {}, {}, {}
    for name, program in _APR.items():
        path = shutil.which(program)
        if path:
            tools[name], versions[name] = path, output_of([path, "--version"])
    if len(tools) < len(_APR):
        tools, versions = {}, {}
        pair = newest(tarballs, "apr", "2"), newest(tarballs, "apr-util", "2")
        if None in pair:
            missing = next(program for program in _APR.values() if shutil.which(program) is None)
            raise LabError(
                "%s is not installed, so httpd cannot be built" % missing,
                fix="let the play install the package that has it (become), or put tarballs of apr and apr-util into "
                "the directory of --sources",
            )
        own = {"apr": pair[0], "apr-util": pair[1]}
    programs = wanted_pcre(configure)
    if programs is not None:
        path = next((found for found in map(shutil.which, programs) if found), None)
        tarball = (
            None if path else newest(tarballs, "pcre") or (newest(tarballs, "pcre2") if len(programs) > 1 else None)
        )
        if path:
            tools["pcre"], versions["pcre"] = path, output_of([path, "--version"])
        elif tarball:
            own["pcre"] = tarball
        else:
            raise LabError(
                "%s needs %s, and %s is not installed"
                % (source["source"], "PCRE" if len(programs) > 1 else "PCRE 1, not PCRE 2", programs[-1]),
                fix="install the package that has it (libpcre3-dev, pcre-devel), or put pcre-8.45.tar.gz into the "
                "directory of --sources",
            )
    versions.update({name: one["sha256"] for name, one in own.items()})
    return {"tools": tools, "versions": versions, "own": own}


def provide(libraries, tree, directory, jobs, compiler, cflags, lock, within):
    """Build the tarballs of `own` or lay them where httpd's configure finds them; return configure's arguments for all.

    PCRE is built as a static library below DIRECTORY/libraries, APR within the tree of httpd.
    """
    tools = dict(libraries["tools"])
    own = libraries["own"]
    work = os.path.dirname(tree)
    for name in ("apr", "apr-util"):
        if name in own:
            unpack_tar(own[name]["path"], os.path.join(work, name), within)
            # By the build's user: what the source has in that place may lead anywhere.
            words = ["sh", "-c", 'rm -rf "$2" && mv "$1" "$2"', "sh", os.path.join(work, name)]
            run_step("lay-" + name, [*words, os.path.join(tree, "srclib", name)], work, directory, lock, within)
    if "pcre" in own:
        source, prefix = os.path.join(work, "pcre"), within.give("libraries")
        unpack_tar(own["pcre"]["path"], source, within)
        argv = ["./configure", "CC=" + compiler, "CFLAGS=" + cflags + " -fPIC", "--prefix=" + prefix]
        run_step("configure-pcre", [*argv, "--disable-shared", "--disable-cpp"], source, directory, lock, within)
        run_step("make-pcre", ["make", "-j%d" % jobs, "install"], source, directory, lock, within)
        programs = (os.path.join(prefix, "bin", name) for name in ("pcre-config", "pcre2-config"))
        tools["pcre"] = next(path for path in programs if os.path.exists(path))
    arguments = ["--with-%s=%s" % pair for pair in sorted(tools.items())]
    return [*arguments, "--with-included-apr"] if "apr" in own else arguments
