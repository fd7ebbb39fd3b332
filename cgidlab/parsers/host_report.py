"""What provisioning found and built on a host: `hosts/<host>.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgidlab.errors import StoreError
from cgidlab.parsers.document import DocumentKind, HostName, T
from cgidlab.rundir import read as read_file


@dataclass(frozen=True, slots=True)
class Variant:
    """One compiled mod_cgid."""

    settings: Mapping[str, Any]  # of roles/cgid, with which it was compiled
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A version of httpd that would have been newer, and was not taken."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Httpd:
    """One built httpd and its variants of mod_cgid."""

    binary: str
    modules_dir: str
    version: str
    source: str
    source_sha256: str
    build_key: str
    skipped: tuple[Skipped, ...]
    variants: tuple[Mapping[str, bool | int | float | str], ...]  # path, sha256, and each setting beside them
    unconfined: str = ""  # why its source was built with a network and a view of the host; empty: it was not

    def variant(self, wanted: Mapping[str, Any]) -> Variant:
        """Return the variant compiled with these; `KeyError` if provisioning did not build it."""
        for found in self.variants:
            settings = {name: value for name, value in found.items() if name not in ("path", "sha256")}
            if settings == wanted:
                return Variant(settings, str(found["path"]), str(found["sha256"]))
        raise KeyError(str(wanted))


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs a script of the user's."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileThere:
    """A script, or a list of requests, as it lies on the host."""

    path: str
    sha256: str
    interpreter: Interpreter | None = None


@dataclass(frozen=True, slots=True)
class HostReport:
    """All that a run needs to know of one host."""

    host: str
    python: str
    become: bool
    work_dir: str
    helper: str
    httpd: Mapping[str, Httpd]  # by the level of the factor httpd
    scripts_dir: str
    tools: Mapping[str, str | None]  # path of each program, None where it is not to be had
    raw: Mapping[str, Any]  # the whole file, for provenance
    address: str = ""  # where other machines find it
    slowed_dir: str = ""  # slower builds of the scripts, by the same names
    scripts: Mapping[str, FileThere] = field(default_factory=dict)  # by the setting `script`
    requests: Mapping[str, FileThere] = field(default_factory=dict)  # by the setting `requests`


@dataclass(frozen=True, slots=True)
class GeneratorReport:
    """All that a run needs to know of a host that makes load for others."""

    host: str
    python: str
    become: bool
    work_dir: str
    helper: str
    tools: Mapping[str, str | None]
    address: str  # from which its requests come
    raw: Mapping[str, Any]
    requests: Mapping[str, FileThere] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Dirs:
    work: str
    cache: str = ""


@dataclass(frozen=True, slots=True)
class _Tool:
    path: str | None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class _Generator:
    host: HostName
    python: str
    become: bool
    dirs: _Dirs
    helper: str
    tools: Mapping[str, _Tool]
    address: str
    requests: Mapping[str, FileThere] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _BuiltServer:
    host: HostName
    python: str
    become: bool
    dirs: _Dirs
    helper: str
    tools: Mapping[str, _Tool]
    httpd: Mapping[str, Httpd]
    scripts_dir: str
    facts: Mapping[str, Any]
    scripts: Mapping[str, FileThere]
    slowed_dir: str = ""
    address: str = ""
    requests: Mapping[str, FileThere] = field(default_factory=dict)


SERVER = DocumentKind("host report", _BuiltServer)
GENERATOR = DocumentKind("generator report", _Generator)


def read(path: Path) -> HostReport:
    """Return the report in `path`. Raise `StoreError` if it is missing, torn or of another schema."""
    found, raw = _checked(SERVER, path)
    return HostReport(
        host=found.host,
        python=found.python,
        become=found.become,
        work_dir=found.dirs.work,
        helper=found.helper,
        httpd=found.httpd,
        scripts_dir=found.scripts_dir,
        slowed_dir=found.slowed_dir,
        scripts=found.scripts,
        requests=found.requests,
        tools=_paths(found.tools),
        raw=raw,
        address=found.address,
    )


def read_generator(path: Path) -> GeneratorReport:
    """Return the report of a generator in `path`. Raise `StoreError` as `read` does."""
    found, raw = _checked(GENERATOR, path)
    return GeneratorReport(
        host=found.host,
        python=found.python,
        become=found.become,
        work_dir=found.dirs.work,
        helper=found.helper,
        requests=found.requests,
        tools=_paths(found.tools),
        address=found.address,
        raw=raw,
    )


def _paths(tools: Mapping[str, _Tool]) -> dict[str, str | None]:
    return {name: tool.path for name, tool in tools.items()}


def _checked(kind: DocumentKind[T], path: Path) -> tuple[T, dict[str, Any]]:
    try:
        return kind.parse_both(read_file(path), where=str(path))
    except StoreError as err:
        raise StoreError(f"not a {kind.name}: {err.what}", where=err.where, fix="provision the host again") from err
