"""How far the search for a commit is: which run each step had, and which commits were skipped. Decides nothing.

`results/<experiment>-bisect/bisect-<id>.json`. What a step decided is not in it: it is read from the run each time.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cgidlab import files, rundir
from cgidlab.engine.commits import HASH
from cgidlab.errors import StoreError
from cgidlab.parsers import versions
from cgidlab.parsers.document import DocumentKind, Reason

_KIND = "bisect.json"
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class StepRun:
    """The run that one step had, or was to have when its process ended."""

    good: str
    middle: str | None
    bad: str
    run: str

    def __post_init__(self) -> None:
        """Refuse what names no commits, or no run beside this file."""
        _check_hashes((self.good, self.bad, *([] if self.middle is None else [self.middle])))
        if not _RUN_ID.fullmatch(self.run):
            raise ValueError(f"has a run {self.run!r:.60}, which is no run's name")

    @property
    def commits(self) -> tuple[str, str | None, str]:
        """Return what it was about."""
        return self.good, self.middle, self.bad


@dataclass(frozen=True, slots=True)
class Passed:
    """A commit that could not be built or run."""

    commit: str
    why: Reason

    def __post_init__(self) -> None:
        """Refuse what names no commit."""
        _check_hashes((self.commit,))


@dataclass(frozen=True, slots=True)
class BisectState:
    """`bisect-<id>.json`: of one search, for the commits between two and for one response."""

    repository: str
    response: str
    good: str
    bad: str
    steps: tuple[StepRun, ...] = ()
    skipped: tuple[Passed, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what names no commits."""
        _check_hashes((self.good, self.bad))

    @property
    def about(self) -> tuple[str, ...]:
        """Return what the search is for."""
        return self.repository, self.response, self.good, self.bad

    def run_of(self, commits: tuple[str, str | None, str]) -> str | None:
        """Return the newest run of a step, None where it has none."""
        return next((s.run for s in reversed(self.steps) if s.commits == commits), None)

    def why_skipped(self, commit: str) -> str | None:
        """Return why a commit is passed over, None where it is not."""
        return next((p.why for p in self.skipped if p.commit == commit), None)

    def with_run(self, step: StepRun) -> "BisectState":
        """Return the state with another run of a step."""
        kept = tuple(s for s in self.steps if s.commits != step.commits)
        return replace(self, steps=(*kept, step))

    def with_skipped(self, commit: str, why: str) -> "BisectState":
        """Return the state with a commit that is passed over."""
        return replace(self, skipped=(*self.skipped, Passed(commit, why[:_LONGEST_REASON])))


STATE = DocumentKind(_KIND, BisectState)


def read(path: Path, begun: BisectState) -> BisectState:
    """Return what an earlier process left, or `begun` where there is nothing. Raise `StoreError` for what is not ours.

    A file that is about something else than `begun` is not believed.
    """
    if not rundir.is_there(path):
        return begun
    found = STATE.read(path)
    if found.about != begun.about:
        raise StoreError("this file is about other commits", where=str(path), fix="begin again with --new")
    return found


def write(path: Path, state: BisectState) -> None:
    """Keep a state: whole, or not at all."""
    files.write_sealed(path, versions.stamped(_KIND, asdict(state)))


def _check_hashes(names: Iterable[str]) -> None:
    for name in names:
        if not HASH.fullmatch(name):
            raise ValueError(f"has a commit {name!r:.60}, which is none")
