"""Undoes what blocks that nobody runs any more still hold of this host. Twice does no more than once."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from . import commands, kernel, snapshot, undo, workdir
from .ending import BlockError


def recover(work_dir: str, blocks: list[str], sysctls: list[dict[str, Any]]) -> dict[str, Any]:
    """Undo and remove every dead block below the host's work directory; return what was done and what could not be.

    `blocks` are directories whose run is known to be over: one that still lives
    is ended first. `sysctls` (`setting`, `old`, `new` values, `boot_id`) is what the control machine
    wrote down, for where the host's own journal is lost. Raises BlockError when another run has the host.
    """
    undone: list[str] = []
    problems: list[str] = []
    if not os.path.isdir(work_dir):
        _restore(sysctls, undone, problems)
        return {"undone": undone, "problems": problems}
    for path in blocks:
        if os.path.isfile(os.path.join(path, "block.json")) and _below(path, work_dir):
            process = workdir.block_process(path)
            if process is not None:
                os.close(process)
                commands.end_block(path)
                undone.append(f"ended the block in {path}")
    lock = commands.have_host(work_dir)
    try:
        ended = undo.end_processes_below(work_dir)  # with the host's lock: whoever carries such a mark has no block
        if ended:
            undone.append(f"ended {ended} processes of trials below {work_dir}")
        for path in commands.dead_blocks(work_dir, ""):
            said, failed = undo.undo_and_tell(path)
            undone += said
            problems += failed
            if not failed:
                shutil.rmtree(path)
                undone.append(f"removed {path}")
        for path in _stray(work_dir):
            shutil.rmtree(path, ignore_errors=True)
            undone.append(f"removed {path}")
        _restore(sysctls, undone, problems)
    finally:
        lock.close()
    return {"undone": undone, "problems": problems}


def undo_dead_blocks(work_dir: str) -> None:
    """Undo and remove what dead blocks left, if nobody runs one here; what cannot be undone stays for `recover`."""
    if not os.path.isdir(work_dir):
        return
    lock = workdir.Lock(work_dir)
    try:
        if lock.take():
            for path in commands.dead_blocks(work_dir, ""):
                if not undo.undo(path):
                    shutil.rmtree(path)
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
    """Return the directories of sockets whose trial lay below the work directory. Call it with the host's lock."""
    return [
        entry["path"]
        for entry in snapshot.socket_directories()
        if entry["run"] and _below(entry["run"], work_dir) and not os.path.isdir(entry["run"])
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
