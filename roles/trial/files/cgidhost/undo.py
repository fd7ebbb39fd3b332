"""Journals what isolation: host changes on the host, and undoes it: journal.jsonl."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from typing import Any

from . import kernel
from .process import pids

_MARK = "CGIDLAB_TRIAL="


def _path(work_dir: str) -> str:
    return os.path.join(work_dir, "journal.jsonl")


def note(work_dir: str, **change: str) -> None:
    """Write down a change before it is made: `sysctl` with its `old` value, `directory`, or `trial` (its processes)."""
    with open(_path(work_dir), "ab") as file:
        file.write(json.dumps(change).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def undo(work_dir: str) -> list[str]:
    """Undo all noted changes, the latest first, and forget them. Return what could not be undone."""
    try:
        with open(_path(work_dir), encoding="utf-8") as file:
            changes = [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []
    problems = []
    for change in reversed(changes):
        try:
            _undo_one(change)
        except OSError as error:  # noqa: PERF203 -- what can be undone has to be
            problems.append(f"{change}: {error.strerror}")
    if not problems:
        os.unlink(_path(work_dir))
    return problems


def _undo_one(change: dict[str, Any]) -> None:
    if "sysctl" in change:
        if (
            kernel.read(change["sysctl"]) != change["old"]
        ):  # it was noted before it was tried, and may have been refused
            kernel.write(change["sysctl"], change["old"])
    elif "directory" in change:
        shutil.rmtree(change["directory"], ignore_errors=True)
    elif "trial" in change:
        end_processes(change["trial"])


def end_processes(trial_dir: str, timeout_s: float = 5.0) -> None:
    """Kill every process that carries the trial's mark in its environment; return when none is left."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        marked = [pid for pid in pids() if pid != os.getpid() and _is_marked(pid, trial_dir)]
        if not marked:
            return
        for pid in marked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # nothing tells when a process that is not a child has gone
    raise TimeoutError(110, f"processes of {trial_dir} do not end")


def _is_marked(pid: int, trial_dir: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return (_MARK + trial_dir).encode() in file.read().split(b"\0")
    except OSError:
        return False
