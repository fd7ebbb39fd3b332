"""Duration and result of every connect() to the cgid socket: connect_times.csv."""

from __future__ import annotations

import os
import socket
import tempfile
from functools import partial
from typing import Any, Callable, Mapping

from ..bpf import ConnectTracer, connects_in
from ..ending import Unavailable
from .base import Gauge, Scene

_PART_RECORDS = 1 << 14  # turned into text at once


class ConnectTimes(Gauge):
    """Takes what the kernel recorded a few times a second; connects wake nobody.

    It is kept as the kernel wrote it, and becomes text when the window is over: that costs more than taking it.
    """

    name = "connect_times"
    period_ns = 200_000_000
    needs_queue = True

    @classmethod
    def why_not(cls, scene: Scene) -> str:
        """Return, besides, why the kernel lets nobody trace."""
        kept = scene.kept.get(cls.name)
        return super().why_not(scene) or (str(kept) if isinstance(kept, Unavailable) else "")

    @classmethod
    def keep(cls, kept: object, prefix: str, *, wanted: bool) -> object:
        """Return the tracer, which takes longer to attach than all else that a trial starts, or why there is none."""
        if isinstance(kept, ConnectTracer):
            if wanted and kept.prefix == prefix:
                return kept
            kept.close()
        try:
            return ConnectTracer(prefix) if wanted else None
        except Unavailable as why:
            return why

    @classmethod
    def prepared(cls, scene: Scene) -> Callable[[], Gauge]:
        """Return what makes it with the tracer that the block keeps."""
        tracer = scene.kept.get(cls.name)
        if not isinstance(tracer, ConnectTracer):
            raise Unavailable("nobody attached a tracer")
        return partial(cls, scene.directory, tracer)

    @classmethod
    def probes(cls) -> Mapping[str, Callable[[], str]]:
        """Say whether connects can be traced."""
        return {"bpf": _probe}

    def __init__(self, directory: str, tracer: ConnectTracer) -> None:
        """Record what `tracer` sees from now on; raise OSError."""
        self._tracer = tracer
        self._tracer.take_raw()  # of an earlier trial, or of this one's start
        self._lost_before = tracer.lost()
        self._directory = directory
        super().__init__(directory)
        path = os.path.join(directory, "connect_times.raw")
        self._raw_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)
        self._parts: list[bytes] = []

    def header(self) -> str:
        """Return nothing: this file has no header."""
        return ""

    def sample(self, now_ns: int) -> None:  # noqa: ARG002 -- each row has its own time
        """Take every connect that ended since the last time."""
        self._parts.append(self._tracer.take_raw())
        self.samples += 1

    def flush(self) -> None:
        """Put aside what was taken; raise OSError."""
        data = b"".join(self._parts)
        self._parts.clear()
        while data:
            data = data[os.write(self._raw_fd, data) :]

    def finish(self) -> None:
        """Take the rest, write all of it as text, and say how many were lost."""
        self.sample(0)
        self.flush()
        os.lseek(self._raw_fd, 0, os.SEEK_SET)
        with os.fdopen(self._raw_fd, "rb") as raw:
            while data := raw.read(_PART_RECORDS * self._tracer.record_bytes):
                self._lines += [
                    f"{end_ns},{took_ns // 1000},{result}\n" for end_ns, took_ns, result in connects_in(data)
                ]
                super().flush()
        super().finish()
        with open(os.path.join(self._directory, "connect_times.stderr"), "w", encoding="utf-8") as file:
            file.write(f"Lost {self._lost()} events\n" if self._lost() else "")

    def more(self) -> dict[str, Any]:
        """Return how many connects were lost for want of room, and where in the kernel they were timed."""
        return {"lost": self._lost(), "place": self._tracer.place, "why_not_function": self._tracer.why_not_function}

    def _lost(self) -> int:
        return self._tracer.lost() - self._lost_before


def _probe() -> str:
    """Time one connect that fails, as a trial's are timed."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as one:
        try:
            tracer = ConnectTracer(directory + "/")
        except Unavailable as why:
            return str(why)
        code = one.connect_ex(os.path.join(directory, "nobody"))
        found = [connect.result for connect in tracer.take()]
    return "" if found == [-code] else f"a connect that failed with {code} was recorded as {found}"
