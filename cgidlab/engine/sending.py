"""The user's own files on their way to hosts: what provisioning is told of them, and what a trial asks for then."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from cgidlab import files
from cgidlab.design.hooks import Commands
from cgidlab.design.own_files import HOOK, REQUESTS, SCRIPT, OwnContent
from cgidlab.design.systems import RUNNING_SCRIPTS, system_of
from cgidlab.errors import LabError
from cgidlab.model import Settings
from cgidlab.parsers.host_report import FileThere, GeneratorReport, HostReport


def variables(own: Sequence[OwnContent], directory: Path) -> dict[str, Any]:
    """Write the files into a directory of this invocation and return what the playbook is told of them."""
    if not own:
        return {}
    files.make_directory(directory)
    for one in own:
        files.write_bytes(directory / one.sha256, one.data)
    return {
        "cgidlab_own_dir": str(directory.resolve()),
        "cgidlab_own_scripts": [*{one.name: _told(one) for one in own if one.kind != REQUESTS}.values()],
        "cgidlab_request_lists": [_told(one) for one in own if one.kind == REQUESTS],
    }


def _told(one: OwnContent) -> dict[str, str]:
    return {"name": one.name, "file": one.file, "sha256": one.sha256}


def asked(settings: Settings, own: Sequence[OwnContent], there: HostReport | GeneratorReport) -> dict[str, Any]:
    """Return what a trial's load asks for, as the helper reads it: one path, or the list that lies on this host."""
    listed = str(settings.get(REQUESTS, ""))
    wanted = {(one.kind, one.name): one for one in own}
    script, requests = wanted.get((SCRIPT, str(settings.get(SCRIPT)))), wanted.get((REQUESTS, listed))
    if requests is None:
        return {} if script is None else {"url_path": script.first}
    return {"url_path": requests.first, "requests": _there(requests, there.requests, there.host)}


def served(settings: Settings, own: Sequence[OwnContent], host: HostReport) -> dict[str, Any]:
    """Return where the scripts of a trial are on its server's host, and what the one that is asked for holds."""
    name = str(settings[SCRIPT])
    mine = next((one for one in own if (one.kind, one.name) == (SCRIPT, name)), None)
    if mine is None:
        found = host.scripts.get(name) if system_of(settings) in RUNNING_SCRIPTS else None
        proof = None if found is None else {"file": name, "sha256": found.sha256}
        return {"scripts_dir": host.scripts_dir, "slowed_dir": host.slowed_dir, "script": proof}
    lies = _there(mine, host.scripts, host.host)
    return {
        "scripts_dir": str(PurePosixPath(lies["path"]).parent),
        "script": {"file": mine.file, "sha256": lies["sha256"]},
    }


def _there(one: OwnContent, found: Mapping[str, FileThere], host: str) -> dict[str, str]:
    there = found.get(one.name)
    if there is None or there.sha256 != one.sha256:
        raise LabError(f"provisioning did not bring {one.kind} {one.name} there", where=host)
    return {"path": there.path, "sha256": there.sha256}


def hooked(commands: Commands, own: Sequence[OwnContent], host: HostReport) -> dict[str, list[str]]:
    """Return each hook's command as the helper starts it, by when it runs."""
    mine = {one.name: one for one in own if one.kind == HOOK}

    def place(program: str) -> str:
        return _there(mine[program], host.scripts, host.host)["path"] if program in mine else program

    return {event: [place(words[0]), *words[1:]] for event, words in commands}


def keep_lists(own: Sequence[OwnContent], directory: Path) -> None:
    """Write each list of requests into a run's directory, named by its content. Raise `StoreError` when that fails."""
    for one in own:
        if one.kind == REQUESTS:
            files.make_directory(directory)
            files.write_bytes(directory / f"{one.sha256[:16]}.txt", one.data)
