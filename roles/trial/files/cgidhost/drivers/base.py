"""What a driver is, and how to add one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

if TYPE_CHECKING:
    from ..blockfile import TrialOrder

GRACE_S = 5.0  # after its time, before a driver is ended


@dataclass(frozen=True)
class LoadPlan:
    """A driver's command line, and how its window is known.

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


class Driver:
    """A program that makes load. Each is the one such class of a module here, and bears its name.

    To add one, copy ab.py: `plan` turns a trial's order into a command line. The program has to write one row for each
    answered request into the file `rows`, and to end by itself. Then name the program in roles/load: a choice in
    argument_specs, and in vars/main.yml a package of another name, or another option than --version. What reads its
    rows is a module of the same name in cgidlab/drivers.

    `load` starts it, finds the window and judges how it ended.
    """

    name: ClassVar[str]
    many_paths: ClassVar[bool] = False  # takes the list of order.requests, one URI after the other
    comes_back: ClassVar[bool] = True  # a client whose connection httpd closes in a closed loop opens another

    @classmethod
    def plan(cls, order: TrialOrder, program: str, rows: str, origin: str) -> LoadPlan:
        """Return how it loads the server at `origin` (http://ADDRESS:PORT) in this trial.

        Raises TrialEnd (client) for what it cannot do, which the control side should have refused before.
        """
        raise NotImplementedError
