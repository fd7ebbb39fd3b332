"""What reloads of httpd cost, as a value."""

from dataclasses import dataclass

from cgidlab.analysis.intervals import Interval


@dataclass(frozen=True, slots=True)
class ReloadCost:
    """How many requests a reload costs in one cell: those with an error status, and those without an answer."""

    kind: str  # graceful, restart or reload_conf
    levels: tuple[tuple[str, str], ...]  # factors and labels
    blocks: int  # in which it is known
    reloads: int  # in them
    lost: float | None  # requests at each, on average over blocks; None: not known
    interval: Interval | None  # 95 %; None below six blocks, and where none was lost
    rarest: float | None  # where none was lost in six blocks or more: fewer than this share of such lose any (95 %)
    enoent: float | None  # retry lines with ENOENT at each; None: no log could hold one
