"""A directory of tarballs in place of the network: what is in it, and whether it is what its publisher made."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cgidlab.errors import SpecError

SUMS = "SHA256SUMS"
_NAME = re.compile(r"(?P<program>httpd|apr|apr-util|pcre2?)-(?P<version>\d[\w.~+-]*)\.(?:tar\.(?:gz|bz2|xz)|tgz)")
_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64})(?:\s+\*?(?P<name>\S.*))?")


@dataclass(frozen=True, slots=True)
class Tarball:
    """One tarball of a program that httpd is built from, with the content its checksum names."""

    path: Path
    program: str  # httpd, apr, apr-util, pcre, pcre2
    version: str
    sha256: str


def read(directory: Path) -> tuple[Tarball, ...]:
    """Return the tarballs of a directory, checked against SHA256SUMS or NAME.sha256 in it, by name.

    Raises `SpecError` when it is no directory, holds none, or one of them has no
    checksum or another content: a mirror that is half right is not used at all.
    """
    if not directory.is_dir():
        raise SpecError("there is no such directory", where=f"--sources {directory}", fix="name one with tarballs")
    try:
        sums = _sums(directory)
        found = tuple(_checked(path, sums) for path in sorted(directory.iterdir()) if _NAME.fullmatch(path.name))
    except OSError as err:
        raise SpecError(f"it cannot be read: {err.strerror}", where=str(err.filename)) from err
    if not any(t.program == "httpd" for t in found):
        raise SpecError(
            "there is no tarball of httpd in it",
            where=f"--sources {directory}",
            fix="put httpd-VERSION.tar.gz into it, as it was published",
        )
    return found


def needed(tarballs: Iterable[Tarball], httpds: Iterable[str]) -> tuple[Tarball, ...]:
    """Return the tarballs that building these sources may need: those named, and all libraries."""
    versions = {httpd.removeprefix("upstream:") for httpd in httpds if httpd.startswith("upstream:")}
    return tuple(t for t in tarballs if t.program != "httpd" or t.version in versions)


def _sums(directory: Path) -> Mapping[str, str]:
    """Return the checksum that the directory gives for each name."""
    found: dict[str, str] = {}
    for path in sorted(directory.glob("*.sha256")):
        if line := _LINE.search(path.read_text()):
            found[path.name.removesuffix(".sha256")] = line["sha256"].lower()
    listed = directory / SUMS
    for line in _LINE.finditer(listed.read_text()) if listed.is_file() else ():
        if line["name"]:
            found[line["name"].strip().removeprefix("./")] = line["sha256"].lower()
    return found


def _checked(path: Path, sums: Mapping[str, str]) -> Tarball:
    matched = _NAME.fullmatch(path.name)
    assert matched is not None  # noqa: S101 -- the caller made sure
    if path.name not in sums:
        raise SpecError(
            f"{path.name} has no checksum",
            where=str(path),
            fix=f"write its publisher's into {path.name}.sha256, or, for files you trust: sha256sum *.tar.* > {SUMS}",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sums[path.name]:
        raise SpecError(
            f"{path.name} is not what its checksum names: want {sums[path.name]}, found {digest}",
            where=str(path),
            fix="do not use this file; fetch it again",
        )
    return Tarball(path.resolve(), matched["program"], matched["version"], digest)
