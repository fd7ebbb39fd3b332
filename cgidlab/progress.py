"""What a user sees while a run goes on: a live line on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cgidlab.model import Figures, Outcome, Status, Trial
from cgidlab.terminal import printable


def figures_line(figures: Figures) -> str:
    """Return the few figures of a trial that fit behind its name."""
    parts = []
    if figures.throughput_rps is not None:
        parts.append(f"{figures.throughput_rps:,.0f} req/s")
    if figures.latency_p99_ms is not None:
        parts.append(f"p99 {figures.latency_p99_ms:,.0f} ms")
    if figures.queue_depth_max is not None:
        parts.append(f"queue {figures.queue_depth_max} of {figures.queue_limit}")
    if figures.workers_in_connect_max is not None:
        parts.append(f"{figures.workers_in_connect_max} asleep in connect")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration as people say it: 45 s, 12 min, 1 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004 -- a minute and a half is still said in seconds
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004 -- minutes an hour


class Display(AbstractContextManager["Display"]):
    """Progress of one run, on `stream` (standard error: results alone go to standard output)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._done = 0
        self._arrived = 0  # those of which only the end is known, too
        self._total = 0
        self._again = 0
        self._left_s = 0.0
        self._began_s = 0.0
        self._lock = threading.RLock()  # several servers' trials end at once

    def __enter__(self) -> Self:
        """Show the live line, if there is a terminal to show it on."""
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
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the live line away."""
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Show one line that stays."""
        self._console.print(escape(printable(text)))

    def step(self, text: str) -> None:
        """Show what is being done now, where there is a live line for it."""
        if self._bar:
            self._bar.update(self._task, description=escape(printable(text)))

    def expect(self, trials: int, seconds: float) -> None:
        """Say how many trials are to come and how long they will take."""
        self._done, self._arrived, self._again, self._total = 0, 0, 0, trials
        self._left_s, self._began_s = seconds, time.monotonic()
        if self._bar:
            self._bar.update(self._task, total=trials, completed=0)

    def now_expect(self, trials: int) -> None:
        """Say that the number of trials to come in all has changed; the clock goes on."""
        self._total = trials + self._again
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
        result = figures_line(figures) if outcome.status is Status.COMPLETE else f"{outcome.status}: {outcome.reason}"
        cell = " ".join(f"{name}={level.label}" for name, level in trial.cell.levels)
        left = self._time_left_s()
        self.say(
            f"trial {self._done} of {self._total}  block {trial.block}  {cell}:  {result}  ({duration(left)} left)"
        )
        if self._bar:
            self._bar.update(self._task, completed=self._arrived, description=f"{duration(left)} left")

    def arrived(self) -> None:
        """Show that one more trial is over, of which more will be told later."""
        with self._lock:
            self._arrived += 1
            if self._bar:
                self._bar.update(self._task, completed=self._arrived)

    def _time_left_s(self) -> float:
        """Return the time left by the pace so far, and by the plan before there is one."""
        elapsed_s = time.monotonic() - self._began_s
        share_done = max(self._arrived, self._done) / self._total if self._total else 1.0
        by_pace_s = elapsed_s / share_done * (1 - share_done) if share_done else self._left_s
        return max(0.0, by_pace_s)
