"""All blocks of a session over all its servers: what a lost one leaves goes to the others, whole."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType

from cgidlab.design import limiting
from cgidlab.design.plan import trial_s
from cgidlab.engine import headroom_trial, limits_trial
from cgidlab.engine.blocks import Beside, BlockBegin, Numbers, one_block
from cgidlab.engine.halting import StopRule
from cgidlab.engine.handing import BlockCalls
from cgidlab.engine.pacing import Pacing
from cgidlab.engine.readying import Ready, RunSession
from cgidlab.engine.scheduling import Board, HostLost, Work, drive
from cgidlab.engine.search_pacing import SearchPacing
from cgidlab.errors import RunError
from cgidlab.model import Trial, TrialRecord
from cgidlab.progress import duration
from cgidlab.runs import headroom, records, store


def all_blocks(session: RunSession, ready: Ready) -> None:
    """Run block after block until the plan, a look or the budget ends it, or somebody does.

    Raises `RunError` when no server is left that blocks can run on.
    """
    shift = _Shift(session, ready)
    try:
        with shift:
            drive(shift.board, Work(shift.run, shift.finished, shift.lost), shift.stop)
    except HostLost as err:
        fix = f"mend that, then go on: --resume {session.run.run_id}"
        raise RunError(f"no server is left: {err.what}", where=str(session.run.path), fix=fix) from err


class _Shift(AbstractContextManager["_Shift"]):
    """One session's servers at work. `finished` and `lost` are called one at a time, `run` for all servers at once."""

    def __init__(self, session: RunSession, ready: Ready) -> None:
        loaded, run = session.loaded, session.run
        self._session, self._ready = session, ready
        self._hosts = {host.host: host for host in ready.hosts}
        self._blocks = dict(enumerate(loaded.plan.blocks, start=1))
        fits = limiting.fits(loaded.plan, session.how.budget_s)
        self._pacing = self._paced(beside_s=limiting.extra_s(loaded.plan) if fits else 0.0)
        # On which this session has not tried yet what limits: the first block there ends with it.
        self._no_limits = set(self._hosts) if fits else set()
        if not fits and limiting.trials(loaded.plan):
            session.display.say("what limits throughput is not tried: the budget has no room for it beside the blocks")
        self._records = list(session.before)
        self._numbers = Numbers(loaded, run)
        # One a server: what is wrong with one of them says nothing of the others.
        self._stop_rules = {host: StopRule(fail_fast=session.how.fail_fast) for host in self._hosts}
        # Whose driver was not measured yet: the first block there ends with it.
        self._no_headroom = self._hosts.keys() - run.read("provenance.json").get(headroom.KEY, {}).keys()
        self._calls = {host: BlockCalls(loaded.site) for host in self._hosts}
        self._told = 0  # blocks that `Pacing` knows of
        self._closed = False
        self.stop = threading.Event()
        # What was begun on a server goes on there: its comparisons are made within it.
        begun = {r.block: r.host for r in session.before if r.host in self._hosts}
        numbers = range(1, loaded.plan.experiment.repetitions.max + 1)
        self.board = Board(list(numbers), list(self._hosts), begun)
        self.board.limit = self._pacing.may_begin

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what still waits for blocks on the servers, all at the same time."""
        for calls in self._calls.values():
            calls.tell_over(at_once=exc is not None)
        for calls in self._calls.values():
            calls.wait()

    def _paced(self, beside_s: float) -> Pacing | SearchPacing:
        """Return what says how long the run is; `beside_s` is what one block takes longer than the others."""
        session, plan = self._session, self._session.loaded.plan
        if plan.experiment.search is not None:
            return SearchPacing(session.loaded, session.run, session.display, session.how.budget_s, session.before)
        return Pacing(
            plan,
            session.run,
            session.display,
            session.how.budget_s,
            session.before,
            at_once=len(self._hosts),
            beside_s=beside_s,
        )

    def run(self, host: str, block: int) -> list[TrialRecord]:
        """Run a block on a server and return the records that are new. Raise `HostLost` for one that others can run."""
        session = self._session
        before = [r for r in session.before if r.block == block]
        trials = self._trials(block, before)
        if {r.host for r in before} - {host} and not {t.key for t in trials} <= {r.key for r in before}:
            before = []  # begun on a server that is not there: whole again on this one
        given = BlockBegin(
            before,
            self._ready.environments[host],
            self._stop_rules[host],
            self._numbers,
            others=len(self.board.hosts) > 1,
            beside=self._beside(host),
            calls=self._calls[host],
        )
        fresh = trials if before else self._fresh(trials)
        try:
            done = one_block(
                session.loaded, session.run, self._hosts[host], fresh, session.display, self._cancelled, given
            )
        except RunError as err:
            if session.how.fail_fast or len(self.board.hosts) == 1:
                raise
            raise HostLost(err.what) from err
        return done[len(before) :]

    def _trials(self, block: int, before: Sequence[TrialRecord]) -> tuple[Trial, ...]:
        """Return the trials of a block: as planned, or as a search needs them after what it saw."""
        if not isinstance(self._pacing, SearchPacing):
            return self._blocks[block]
        wanted = self._pacing.wanted(block, [r for r in self._records if r.block < block])
        done = {r.key: r.number for r in before}
        new = iter(self._numbers.given(t for t in wanted if t.key not in done))
        return tuple(replace(t, number=done[t.key]) if t.key in done else next(new) for t in wanted)

    def _fresh(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """Return the trials, those that left something under their number before under another."""
        used = [t for t in trials if (self._session.run.trials / t.directory).exists()]
        renumbered = dict(zip((t.number for t in used), self._numbers.given(used), strict=True))
        return tuple(renumbered.get(t.number, t) for t in trials)

    def _beside(self, host: str) -> list[Beside]:
        session = self._session
        found = []
        if host in self._no_headroom:
            found.append(headroom_trial.beside(session.loaded, session.run, host))
        limits = limits_trial.beside(session.loaded.plan, session.run, host) if host in self._no_limits else None
        self._no_limits -= {host}  # one that does not come home takes no other block longer: `--resume` makes it again
        if limits is not None:
            extra_s = sum(trial_s(t.cell.settings) for t in limits.trials)
            session.display.say(f"what limits throughput on {host} is tried after this block: {duration(extra_s)}")
            found.append(limits)
        return found

    def _cancelled(self) -> bool:
        return self._session.cancelled() or self.stop.is_set()

    def finished(self, host: str, _block: int, new: list[TrialRecord]) -> None:
        """Take in what a block left, and say which blocks may begin next."""
        self._records += new
        if host in self._no_headroom:
            self._take_headroom(host)
        while not self._closed and self._told < self.board.whole:
            self._told += 1
            self._closed = self._cancelled() or self._pacing.stops_after(self._told, self._records)
        if self._closed or self._cancelled():
            self._closed = True
            self.board.close()
        else:
            self.board.limit = self._pacing.may_begin

    def _take_headroom(self, host: str) -> None:
        run = self._session.run
        found = headroom.found(run, host)
        if not found:
            return
        self._no_headroom -= {host}
        provenance = run.read("provenance.json")
        run.write("provenance.json", {**provenance, headroom.KEY: {**provenance[headroom.KEY], host: found}})
        for driver, entry in found.items():
            self._session.display.say(headroom.said(host, driver, entry))

    def lost(self, host: str, block: int, err: HostLost) -> None:
        """Say that a server is lost, here and in the run's state; what it has finished counts."""
        self._calls[host].tell_over()
        run, others = self._session.run, ", ".join(self.board.hosts)
        self._session.display.say(f"{host} is lost: {err.what}; block {block} goes to {others or 'nobody'}")
        known = {r.number for r in self._records}
        stored, _damaged = run.stored_trials()
        here = [s for s in stored if s.host == host and s.block == block and s.number not in known]
        self._records += [records.load(run.path, its) for its in here]
        entry = {"host": host, "block": block, "why": err.what}
        run.set_state(store.RUNNING, **{store.LOST: [*run.state().get(store.LOST, []), entry]})
