"""What a user sees while a run goes on: a live line on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from cgidlab.model import Cell, Figures, Outcome, Status, Trial
from cgidlab.terminal import printable

QUIET, USUAL, LOUD = -1, 0, 1
SIGN_OF_LIFE_S = 15.0
_TRUSTED_SHARE = 0.25  # of all trials: from here on the pace so far says more than the plan


def queue_words(depth: int, limit: int | None) -> str:
    """Return how full the queue was at most: listen(100) holds 101, which is full and no mistake."""
    if limit is None:
        return f"queue {depth}"
    return "queue full" if depth > limit else f"queue {depth} of {limit}"


def columns(figures: Figures) -> tuple[str, ...]:
    """Return the few figures of a trial that fit behind its name, what counts most first."""
    asleep = figures.workers_in_connect_max
    return (
        f"{figures.throughput_rps:,.0f} req/s" if figures.throughput_rps is not None else "",
        f"p99 {figures.latency_p99_ms:,.0f} ms" if figures.latency_p99_ms is not None else "",
        queue_words(figures.queue_depth_max, figures.queue_limit) if figures.queue_depth_max is not None else "",
        f"{asleep} asleep" if asleep else "",
    )


def duration(seconds: float) -> str:
    """Return a duration as people say it: 45 s, 12 min, 1 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004 -- a minute and a half is still said in seconds
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004 -- minutes an hour


class Display(AbstractContextManager["Display"]):
    """Progress of one run, on `stream` (standard error: results alone go to standard output).

    As wide as the terminal, with colour unless NO_COLOR is set. A log gets whole lines, and a sign of life where none
    came for SIGN_OF_LIFE_S. `level` is QUIET for errors alone, LOUD for each step as well.
    """

    _widths = (12, 12, 15, 11)

    def __init__(self, stream: TextIO | None = None, level: int = USUAL) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._level = level
        self._bar: Progress | None = None
        self._done = 0
        self._arrived = 0  # those of which only the end is known, too
        self._total = 0
        self._again = 0
        self._left_s = 0.0
        self._began_s = 0.0
        self._stage_s: float | None = None  # of what comes before trials; None: not known, or no such stage
        self._stage_began_s = 0.0
        self._later_s = 0.0  # of what comes behind what is going on now
        self._block = 0
        self._cell_width = 0
        self._last = ""
        self._step, self._step_s = "starting", time.monotonic()
        self._said_s = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.RLock()  # several servers' trials end at once

    def __enter__(self) -> Self:
        """Show the live line, if there is a terminal to show it on; else begin to watch for silence."""
        if self._level == QUIET:
            return self
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None)
        else:
            threading.Thread(target=self._live, name="sign of life", daemon=True).start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the live line away."""
        self._over.set()
        if self._bar:
            self._bar.stop()

    def _live(self) -> None:
        while not self._over.wait(1.0):
            with self._lock:
                if time.monotonic() - self._said_s >= SIGN_OF_LIFE_S:
                    self._print(
                        f"... {self._step}, for {duration(time.monotonic() - self._step_s)}{self._stage_left()}"
                    )

    def say(self, text: str, style: str = "") -> None:
        """Show one line that stays; the same line twice is shown once."""
        with self._lock:
            if self._level != QUIET and text != self._last:
                self._last = text
                self._print(text, style)

    def _print(self, text: str, style: str = "") -> None:
        self._said_s = time.monotonic()
        self._console.print(Text(printable(text), style=style))

    def step(self, text: str) -> None:
        """Show what is being done now, where there is a live line for it; in full where each step is asked for."""
        with self._lock:
            self._step, self._step_s = text, time.monotonic()
        if self._level == LOUD:
            self.say(text)
        if self._bar:
            self._bar.update(self._task, description=_escaped(f"{text}{self._stage_left()}"))

    def stage(self, seconds: float | None, later_s: float | None = None) -> None:
        """Begin something that is no trial, of about so many seconds; None: not known, or over.

        `later_s` is what comes behind it, the trials of this stage as well: it stays until it is said anew.
        """
        with self._lock:
            self._stage_s, self._stage_began_s = seconds, time.monotonic()
            self._later_s = self._later_s if later_s is None else later_s

    def _stage_left(self) -> str:
        if self._stage_s is None:
            return ""
        left_s = max(0.0, self._stage_s - (time.monotonic() - self._stage_began_s)) + self._later_s
        return f"; about {duration(left_s)} left"

    def expect(self, trials: int, seconds: float, cells: Iterable[Cell] = ()) -> None:
        """Say how many trials are to come, of which cells, and how long they will take."""
        self._cell_width = max(map(len, map(_name, cells)), default=0)
        self._done, self._arrived, self._again, self._total = 0, 0, 0, trials
        self._left_s, self._began_s, self._stage_s = seconds, time.monotonic(), None
        if trials:
            self.say(f"{trials} trials to come, about {duration(seconds)}")
        if self._bar:
            self._bar.update(self._task, total=trials, completed=0)

    def now_expect(self, trials: int) -> None:
        """Say that the number of trials to come in all has changed; the clock goes on."""
        before, self._total = self._total, trials + self._again
        if before:
            self._left_s *= self._total / before
        if self._bar:
            self._bar.update(self._task, total=self._total)

    def also_expect(self, trials: int) -> None:
        """Say that so many trials will be run again."""
        with self._lock:
            self._again += trials
            self.now_expect(self._total - self._again + trials)

    def trial(self, trial: Trial, outcome: Outcome, figures: Figures) -> None:
        """Show that a trial is done, with its result and the time left."""
        with self._lock:
            self._trial(trial, outcome, figures)

    def _trial(self, trial: Trial, outcome: Outcome, figures: Figures) -> None:
        self._done += 1
        self._arrived = max(self._arrived, self._done)
        left = f"{duration(self._time_left_s() + self._later_s)} left"
        if trial.block != self._block:
            self._block = trial.block
            self.say(f"block {trial.block}")
        self._last = ""  # two trials may well look alike
        complete = outcome.status is Status.COMPLETE
        self.say(self._line(trial, outcome, figures, left), style="" if complete else "red")
        if self._bar:
            self._bar.update(self._task, completed=self._arrived, description=left)
        with self._lock:
            self._step, self._step_s = f"block {trial.block}", time.monotonic()

    def _line(self, trial: Trial, outcome: Outcome, figures: Figures, left: str) -> str:
        """Return a trial in columns; a terminal too narrow for them goes without the last ones, and no line breaks."""
        cell = _name(trial.cell)
        self._cell_width = max(self._cell_width, len(cell))
        number = f"{self._done:>{len(str(self._total))}} of {self._total}"
        room = self._console.width if self._console.is_terminal else sys.maxsize
        head = f"{number}  {cell:<{self._cell_width}}"
        if outcome.status is not Status.COMPLETE:
            return f"{head}  {outcome.status}: {outcome.reason}"
        for name, width in zip(columns(figures), self._widths, strict=True):
            if len(head) + 2 + width <= room:
                head += f"  {name:>{width}}"
        return f"{head}  {left}" if not self._bar and len(head) + 2 + len(left) <= room else head.rstrip()

    def arrived(self) -> None:
        """Show that one more trial is over, of which more will be told later."""
        with self._lock:
            self._arrived += 1
            if self._bar:
                self._bar.update(self._task, completed=self._arrived)

    def _time_left_s(self) -> float:
        """Return the time left: by the plan at first, and more and more by the pace so far."""
        elapsed_s = time.monotonic() - self._began_s
        share_done = max(self._arrived, self._done) / self._total if self._total else 1.0
        if not share_done:
            return self._left_s
        by_pace_s = elapsed_s / share_done * (1 - share_done)
        trusted = min(1.0, share_done / _TRUSTED_SHARE)
        return max(0.0, trusted * by_pace_s + (1 - trusted) * self._left_s * (1 - share_done))


def _name(cell: Cell) -> str:
    return " ".join(f"{name}={level.label}" for name, level in cell.levels)


def _escaped(text: str) -> str:
    """Return text that rich's columns take for no markup."""
    return escape(printable(text))
