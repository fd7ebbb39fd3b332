"""The table of `observe --all`: one line a listener, the worst first."""

import math
from collections.abc import Sequence

from cgidlab import terminal
from cgidlab.parsers.listeners import WAITS_S, Listener

_HEADER = (
    "who", "limit", "now", "peak", "mean", "full", "turned away", "refused", "asleep", "connects", "wait", "p99",
    "socket",
)  # fmt: skip
_LEFT = ("who", "socket")


def table(rows: Sequence[Listener], most: int | None = None) -> str:
    """Return the table, the first `most` lines of it; columns are described in docs/observe.md."""
    ordered = sorted(rows, key=lambda r: (*r.trouble, r.host, r.path))
    several = len({r.host for r in rows}) > 1
    networks = {r.host: _main_network(rows, r.host) for r in rows}
    told = (_cells(r, networks[r.host], several=several) for r in ordered[:most])
    cells = [_HEADER, *(tuple(map(terminal.cell, row)) for row in told)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(_HEADER))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in cells]
    left = len(ordered) - (len(cells) - 1)
    return "\n".join([*lines, *([f"and {left:,} more"] if left else [])])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if name in _LEFT else text.rjust(width)
        for text, width, name in zip(row, widths, _HEADER, strict=True)
    ]


def _main_network(rows: Sequence[Listener], host: str) -> str:
    """Return the namespace that most listeners of a host are in: it needs no name."""
    names = [r.network for r in rows if r.host == host]
    return max(sorted(set(names)), key=names.count)


def _cells(row: Listener, network: str, *, several: bool) -> tuple[str, ...]:
    who = f"{row.program or '?'}{f' {row.pid}' if row.pid is not None else ''}"
    where = f"{row.host}: " if several else ""
    inside = "" if row.network == network else f" in {row.network}"
    gone = "" if row.there else " (gone)"
    return (
        who,
        str(row.limit),
        str(row.depth),
        str(row.depth_max),
        f"{row.depth_mean:.1f}",
        "" if not row.full_share else f"{100 * row.full_share:.1f} %",
        _count(row.turned_away),
        _count(row.refused),
        _count(row.sleeping_max),
        _count(row.connects),
        _wait(row),
        "" if row.queue_wait_p99_ms is None else _bound(row.queue_wait_p99_ms),
        f"{where}{row.path or '(no name)'}{inside}{gone}",
    )


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _wait(row: Listener) -> str:
    if row.queue_wait_ms is None or not (row.wait_measured or row.depth_mean):
        return ""
    return f"{'' if row.wait_measured else '~'}{row.queue_wait_ms:,.1f} ms"


def _bound(p99_ms: float) -> str:
    return f"> {1000 * WAITS_S[-1]:,.0f} ms" if p99_ms == math.inf else f"<= {p99_ms:,.4g} ms"
