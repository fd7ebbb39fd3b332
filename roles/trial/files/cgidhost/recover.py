"""Undoes what blocks that nobody runs any more still hold of this host. Twice does no more than once."""

from __future__ import annotations

import json
import os
from typing import Any

from . import commands, group, kernel, own, snapshot, undo, workdir
from .ending import BlockError


def recover(work_dir: str, blocks: list[str], sysctls: list[dict[str, Any]]) -> dict[str, Any]:
    """Undo and remove every dead block below the host's work directory; return what was done and what could not be.

    `blocks` are directories whose run is known to be over: one that still lives
    is ended first. `sysctls` (`setting`, `old`, `new` values, `boot_id`) is what the control machine
    wrote down, for where the host's own journal is lost. Raises BlockError when another run has the host.
    """
    undone: list[str] = []
    foreign = [path for path in blocks if os.path.lexists(path) and not _below(path, work_dir)]
    problems = [f"{path} is not in {work_dir}, where trials run here: nothing there is touched" for path in foreign]
    if not os.path.isdir(work_dir):
        _restore(sysctls, undone, problems)
        return {"undone": undone, "problems": problems}
    os.close(own.opened(work_dir))
    for path in blocks:
        if os.path.isfile(os.path.join(path, own.BLOCK)) and path not in foreign:
            process = workdir.block_process(path)
            if process is not None:
                os.close(process)
                commands.end_block(path)
                undone.append(f"ended the block in {path}")
    lock = commands.have_host(work_dir)
    try:
        _undo_and_remove(work_dir, undone, problems)
        _restore(sysctls, undone, problems)
    finally:
        lock.close()
    return {"undone": undone, "problems": problems}


def _undo_and_remove(work_dir: str, undone: list[str], problems: list[str]) -> None:
    """Undo and remove what nobody runs any more. Call it with the host's lock."""
    ended = undo.end_processes_below(work_dir)  # whoever carries such a mark has no block
    if ended:
        undone.append(f"ended {ended} processes of trials below {work_dir}")
    for path in commands.dead_blocks(work_dir, ""):
        said, failed = undo.undo_and_tell(path)
        undone += said
        problems += failed
        if not failed:
            own.remove(*os.path.split(path))
            undone.append(f"removed {path}")
    groups, failed = group.remove_dead(work_dir)
    undone += [f"removed the control group {path}" for path in groups]
    problems += failed
    for path in _stray(work_dir):
        if own.remove_sockets(path, lambda trial: os.path.dirname(os.path.dirname(trial)) == work_dir):
            undone.append(f"removed {path}")


def undo_dead_blocks(work_dir: str) -> None:
    """Undo and remove what dead blocks left, if nobody runs one here; what cannot be undone stays for `recover`."""
    if not os.path.isdir(work_dir):
        return
    lock = workdir.Lock(work_dir)
    try:
        if lock.take():
            for path in commands.dead_blocks(work_dir, ""):
                if not undo.undo(path):
                    own.remove(*os.path.split(path))
            group.remove_dead(work_dir)
    finally:
        lock.close()


def parse_sysctls(text: str) -> list[dict[str, Any]]:
    """Return the control machine's list of sysctls; raise BlockError where it is none."""
    try:
        found = json.loads(text)
        return [
            {
                "setting": str(entry["setting"]),
                "old": str(entry["old"]),
                "new": [str(value) for value in entry["new"]],
                "boot_id": str(entry["boot_id"]),
            }
            for entry in found
            if entry["setting"] in kernel.SYSCTLS
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BlockError(f"--sysctls is not a list of what was changed: {error!r}") from error


def _below(path: str, work_dir: str) -> bool:
    return os.path.dirname(os.path.realpath(path)) == os.path.realpath(work_dir)


def _stray(work_dir: str) -> list[str]:
    """Return our directories of sockets whose trial lay below the work directory. Call it with the host's lock."""
    return [
        entry["path"]
        for entry in snapshot.socket_directories()
        if entry["run"]
        and _below(entry["run"], work_dir)
        and not os.path.isdir(entry["run"])
        and os.lstat(entry["path"]).st_uid == os.geteuid()  # of others nobody may say whose they are
    ]


def _restore(sysctls: list[dict[str, Any]], undone: list[str], problems: list[str]) -> None:
    for entry in sysctls:
        if entry["boot_id"] != undo.boot_id():
            continue  # the kernel has forgotten it itself
        try:
            said = undo.restore(entry["setting"], entry["old"], tuple(entry["new"]))
        except OSError as error:
            problems.append(f"{entry['setting']}: {error.strerror}")
            continue
        if said:
            undone.append(said)
