"""What a load generator is asked to do: one module a driver, each a pure function from an order to a LoadPlan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class LoadPlan:
    """A load generator's command line, and how its window is known.

    With marks, the window begins and ends when these lines are read from the
    program's stdout; without, it begins `warmup_s` after the program's start
    and lasts `window_s`.
    """

    argv: list[str]
    warmup_s: float
    window_s: float
    limit_s: float  # the program is ended after that
    begin_mark: Optional[bytes] = None
    end_mark: Optional[bytes] = None
    late_answers_are_fine: bool = False  # at the limit, missing rows are failures of requests and not of the trial
    header_lines: int = 0  # in its log, before the first row
    whole_seconds: bool = False  # its log knows whole seconds: the window must begin at one
