"""Which commit changed a response: what one run of three builds says, and how the line of commits is halved. Pure.

Each claim on the way has a share of one error, so that the whole answer holds with 95 % (docs/statistics.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import ALPHA, Interval
from cgidlab.figures import lower_is_worse

_DIFFERS = frozenset({Answer.COSTS_AT_LEAST, Answer.GAINS_AT_LEAST, Answer.REAL_NEAR})


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit."""

    hash: str
    author_date: str  # ISO 8601
    subject: str

    @property
    def short(self) -> str:
        """Return its name for a table."""
        return self.hash[:10]


@dataclass(frozen=True, slots=True)
class Ask:
    """What one run is to decide: builds by their place on the line, and the error of its claims."""

    good: int
    bad: int
    middle: int | None  # None: whether good and bad differ at all
    error: float


@dataclass(frozen=True, slots=True)
class BuildRatio:
    """One build against another: what is shown, the ratio and its interval."""

    answer: Answer
    ratio: float | None = None
    interval: Interval | None = None

    @property
    def sign(self) -> int:
        """Return 1 where a difference upwards is shown, -1 where one downwards is, else 0."""
        if self.answer not in _DIFFERS or not self.ratio or self.ratio == 1:
            return 0
        return 1 if self.ratio > 1 else -1

    def inverted(self) -> "BuildRatio":
        """Return the other build against this one; its answer is what it was."""
        turned = None if self.interval is None else Interval(1 / self.interval.high, 1 / self.interval.low)
        return BuildRatio(self.answer, 1 / self.ratio if self.ratio else None, turned)


@dataclass(frozen=True, slots=True)
class StepShown:
    """What one run shows: bad against good, or with a middle the middle against good and bad against the middle."""

    before: BuildRatio | None  # the middle against good; None without a middle
    after: BuildRatio  # bad against the middle, or against good


class Turn(StrEnum):
    """What a run decides."""

    BEFORE = "before"  # the change came with the middle or before it: it is like bad. Of ends: they differ
    AFTER = "after"  # it came later: the middle is like good
    BETWEEN = "between"  # the middle is neither: the change came in two steps
    OPEN = "open"  # not decided. Of ends: they cannot be told apart
    SKIPPED = "skipped"  # the middle cannot be built or does not run


def turn_of(shown: StepShown, sign: int) -> Turn:
    """Return what a run with a middle decides, when bad was shown to differ from good upwards (1) or downwards (-1).

    The middle has to be equivalent to one end and to differ from the other in the way that bad does from good. So a
    wrong turn needs a false claim of equivalence where the ends differ by what matters, and of a difference elsewhere.
    """
    before, after = shown.before, shown.after
    if before is None:
        return Turn.BEFORE if after.sign else Turn.OPEN
    if before.answer is Answer.EQUIVALENT and after.sign == sign:
        return Turn.AFTER
    if after.answer is Answer.EQUIVALENT and before.sign == sign:
        return Turn.BEFORE
    return Turn.BETWEEN if before.sign and after.sign else Turn.OPEN


@dataclass(frozen=True, slots=True)
class Step:
    """One run, what it shows and what it decides."""

    ask: Ask
    turn: Turn
    shown: StepShown | None  # None: the middle was skipped


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How far the line of commits was narrowed: the change came after `good` and with `bad` or before."""

    good: int
    bad: int
    sign: int  # of the change of the response; 0: the ends cannot be told apart
    steps: tuple[Step, ...]

    @property
    def found(self) -> bool:
        """Say whether it is one commit."""
        return self.sign != 0 and self.bad - self.good == 1

    @property
    def skipped(self) -> tuple[int, ...]:
        """Return the commits that were tried and could not be built or run."""
        return tuple(s.ask.middle for s in self.steps if s.turn is Turn.SKIPPED and s.ask.middle is not None)

    @property
    def change(self) -> tuple[Step, BuildRatio] | None:
        """Return the run that has both ends as they are now, the newest, and bad against good in it."""
        for step in reversed(self.steps):
            if step.shown is None:
                continue
            ask, shown = step.ask, step.shown
            if (ask.good, ask.bad) == (self.good, self.bad) and ask.middle is None:
                return step, shown.after
            if (ask.middle, ask.bad) == (self.good, self.bad):
                return step, shown.after
            if (ask.good, ask.middle) == (self.good, self.bad) and shown.before is not None:
                return step, shown.before
        return None


Measure = Callable[[Ask], StepShown | None]
"""Runs what is asked for; None where the middle cannot be built or does not run."""


def narrow(last: int, measure: Measure, told: Callable[[Step], None] = lambda _: None) -> Narrowed:
    """Halve a line of commits, 0 (good) to `last` (bad), until one change is left or nothing more can be decided.

    A middle that cannot be tried is passed over for its nearest neighbour. The same measurements lead to the same
    questions, also in another process. `told` gets each step.
    """
    good, bad, left, steps = 0, last, ALPHA, list[Step]()

    def taken(ask: Ask, sign: int) -> Step:
        shown = measure(ask)
        step = Step(ask, Turn.SKIPPED if shown is None else turn_of(shown, sign), shown)
        steps.append(step)
        told(step)
        return step

    first = Ask(good, bad, None, left / (1 + turns(last)))
    ends = taken(first, 0)
    sign = 0 if ends.shown is None else ends.shown.after.sign
    left -= first.error
    passed: set[int] = set()
    while sign and (able := [n for n in range(good + 1, bad) if n not in passed]):
        # The sooner of two that are equally near, so that it is always the same one.
        middle = min(able, key=lambda n: (abs(2 * n - good - bad), n))
        ask = Ask(good, bad, middle, left / turns(len(able) + 1))
        turn = taken(ask, sign).turn
        if turn is Turn.SKIPPED:
            passed.add(middle)
            continue
        left -= ask.error
        if turn is Turn.AFTER:
            good = middle
        elif turn is Turn.BEFORE:
            bad = middle
        else:
            break
    return Narrowed(good, bad, sign, tuple(steps))


def turns(commits: int) -> int:
    """Return how many turns lead to one of so many commits."""
    return math.ceil(math.log2(commits)) if commits > 1 else 0


@dataclass(frozen=True, slots=True)
class Bisection:
    """What came of it: the line of commits, good first and bad last, and how far it was narrowed."""

    repository: str
    response: str
    smallest: float
    line: tuple[Commit, ...]
    narrowed: Narrowed
    runs: tuple[str | None, ...]  # directory of each step's run; None: none could begin
    skipped: tuple[tuple[Commit, str], ...]
    budget_ended: bool

    @property
    def worse(self) -> bool | None:
        """Say whether the change is for the worse; None where none is shown."""
        sign = self.narrowed.sign
        return None if not sign else (sign < 0) is lower_is_worse(self.response)

    @property
    def suspects(self) -> tuple[Commit, ...]:
        """Return the commits that the change may have come with, the oldest first."""
        return self.line[self.narrowed.good + 1 : self.narrowed.bad + 1]
