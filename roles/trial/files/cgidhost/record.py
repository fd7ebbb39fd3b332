"""What is known of a trial so far, told by the trial's first process and kept by the block process: result.json."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Optional

from . import SCHEMA_VERSION
from .ending import TrialEnd, from_os_error

_SILENCE = "the trial's first process ended without a word"


class Teller:
    """The trial's end of the pipe: one JSON line for each thing that is known."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def tell(self, **known: object) -> None:
        """Report values of result.json."""
        data = json.dumps(known).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase, however it ends."""
        begin_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self.tell(phase={"name": name, "begin_ns": begin_ns, "end_ns": time.monotonic_ns()})

    def judge(self, work: Callable[[], None], finish: Callable[[], None]) -> None:
        """Do the work of a trial, then finish it however that went, and report how it ended.

        The first thing that went wrong is how. Does not raise for what can go wrong in a trial.
        """
        ends = [_end_of(part) for part in (work, finish)]
        end = next((end for end in ends if end is not None), None)
        if end is None:
            self.tell(ended="complete", kind=None, reason="")
        else:
            self.end(end)

    def end(self, end: TrialEnd) -> None:
        """Report that the trial ended before its time."""
        self.tell(ended=end.ended, kind=end.kind, reason=end.reason)


def _end_of(part: Callable[[], None]) -> Optional[TrialEnd]:
    try:
        part()
    except TrialEnd as end:
        return end
    except OSError as error:
        return from_os_error("running the trial", error)
    except Exception as error:  # noqa: BLE001 -- a fault of ours must not stop the block
        return TrialEnd("infra", f"{type(error).__name__}: {error}")
    return None


class Record:
    """The block process's end: gathers what the trial tells into result.json."""

    def __init__(self, key: str) -> None:
        self.result: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "key": key,
            "ended": "failed",
            "reason": _SILENCE,
            "kind": "infra",
            "clock": {"realtime_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()},
            "phases": [],
            "server": {},
            "load": {},
            "instruments": {},
        }
        self._unread = b""

    def hear(self, data: bytes) -> None:
        """Take bytes from the pipe."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, known: Mapping[str, Any]) -> None:
        for name, value in known.items():
            if name == "phase":
                self.result["phases"].append(value)
            elif isinstance(value, dict):
                self.result.setdefault(name, {}).update(value)
            else:
                self.result[name] = value

    def phase(self, name: str, begin_ns: int, end_ns: int) -> None:
        """Add a phase that the block process timed itself."""
        self.result["phases"].append({"name": name, "begin_ns": begin_ns, "end_ns": end_ns})

    def override(self, end: TrialEnd) -> None:
        """Say that the trial ended in this way, unless it already told of another bad end."""
        silent = self.result["reason"] == _SILENCE
        told_to = end.kind == self.result["kind"] == "interrupted"  # the block process knows why
        if silent or told_to or self.result["ended"] == "complete":
            self.result.update(ended=end.ended, kind=end.kind, reason=end.reason)
