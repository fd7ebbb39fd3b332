"""access_log of a trial: begin and end in microseconds, status, bytes, path (docs/results.md)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cgidlab.arrays import Ints
from cgidlab.numeric_lines import check_rows, parse, pieces

_NUMBERS = 4
_MAX_PATHS = 10_000
_FEW_PATHS = 16
_MAX_STATUS = 999
_PATH = b" /"
_LINE = re.compile(rb"(\d{1,18} \d{1,18} 0{0,15}\d{1,3} \d{1,18}) (.+)")


@dataclass(frozen=True, slots=True)
class AccessLog:
    """One entry a request the server answered, in the order it finished them."""

    bad_lines: int
    paths: tuple[str, ...]  # the distinct ones
    path_index: NDArray[np.int64]  # into `paths`
    begin_us: Ints  # since 1970
    end_us: Ints
    status: Ints
    size_bytes: Ints

    def of_path(self, path: str) -> NDArray[np.bool_]:
        """Return which entries asked for `path`."""
        wanted = self.paths.index(path) if path in self.paths else -1
        return np.asarray(self.path_index == wanted)


def read_access_log(path: Path) -> AccessLog:
    """Return the entries of a file of any size; as `parse_access_log`. Raise `StoreError` if it cannot be read."""
    logs = []
    count = 0
    for piece in pieces(path):
        logs.append(parse_access_log(piece))
        count += len(logs[-1].status)
        check_rows(count, path)
    return logs[0] if len(logs) == 1 else _joined(logs)


def _joined(logs: list[AccessLog]) -> AccessLog:
    """Return several logs as one. Paths beyond the first thousands count as one path that nobody asked for."""
    paths: dict[str, int] = {}
    index = [np.empty(0, np.int64)]
    for log in logs:
        new = {p: paths.setdefault(p if p in paths or len(paths) < _MAX_PATHS else "", len(paths)) for p in log.paths}
        index.append(np.array([new[p] for p in log.paths], np.int64)[log.path_index])
    columns = (
        np.concatenate([np.empty(0, np.int64), *(getattr(log, name) for log in logs)])
        for name in ("begin_us", "end_us", "status", "size_bytes")
    )
    return AccessLog(sum(log.bad_lines for log in logs), tuple(paths), np.concatenate(index), *columns)


def parse_access_log(data: bytes) -> AccessLog:
    """Return the entries. A line that does not have the five fields, or a cut last line, is counted."""
    end = data.rfind(b"\n") + 1
    cut = 1 if end < len(data) else 0
    whole = data[:end]
    return _of_few_paths(whole, cut) or _line_by_line(whole, cut)


def _of_few_paths(whole: bytes, cut: int) -> AccessLog | None:
    """Return the entries of lines that all are whole and ask for few paths; None for any others.

    The load asks for one, and the instruments for two: each path becomes a number at once instead of line by line.
    """
    paths: list[bytes] = []
    lines = whole.count(b"\n")
    if not lines or whole.count(_PATH) != lines:  # one path a line, which begins there
        return None
    while (begin := whole.find(_PATH)) >= 0:
        if len(paths) == _FEW_PATHS:
            return None
        tail = whole[begin : whole.index(b"\n", begin) + 1]
        if b" " in tail[1:]:  # of which another path may be the end
            return None
        whole = whole.replace(tail, b" %d\n" % len(paths))
        paths.append(tail[1:-1])
    table = parse(whole, separator=b" ", fields=_NUMBERS + 1)
    *columns, index = table.columns
    if table.bad_lines or b"-" in whole or (columns[2] > _MAX_STATUS).any():
        return None
    return AccessLog(cut, tuple(path.decode(errors="replace") for path in paths), index, *columns)


def _line_by_line(whole: bytes, cut: int) -> AccessLog:
    seen: dict[bytes, int] = {}
    numbers: list[bytes] = []
    index: list[int] = []
    bad = cut
    for line in whole.split(b"\n")[:-1]:
        found = _LINE.fullmatch(line)
        if found is None:
            bad += 1
            continue
        numbers.append(found[1])
        index.append(seen.setdefault(found[2], len(seen)))
    table = parse(b"".join(n + b"\n" for n in numbers), separator=b" ", fields=_NUMBERS)
    paths = tuple(path.decode(errors="replace") for path in seen)
    return AccessLog(bad, paths, np.array(index, np.int64), *table.columns)
