"""Blocks of trials handed to a host, one after the other, through one call of Ansible that stays.

To begin a call and to end it takes four seconds, in which nothing is measured. So a call waits for orders: the
role's action (cgidlab_blocks) runs the block of each, and leaves what came home, and the word that it is over.
"""

import fcntl
import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from cgidlab import files
from cgidlab.design.catalogue import Catalogue
from cgidlab.engine import ansible, ansible_environment, arrivals, execute
from cgidlab.engine.arrivals import Arrival
from cgidlab.engine.execute import BlockNeeds, Site
from cgidlab.errors import StoreError
from cgidlab.model import Trial

ORDERS, LOCK = "orders", "lock"  # in the directory of a call, and gone with it
_TO_END_S = 60.0  # for a call that has no more orders; then it is killed
_TO_BE_ENDED_S = 5.0  # for one that is killed; then nobody waits for it


class BlockCalls(AbstractContextManager["BlockCalls"]):
    """What runs blocks on one server: a call of Ansible, and another one where that has come to its end."""

    def __init__(self, site: Site) -> None:
        """Begin with no call; the first block makes one."""
        self._site = site
        self._call: _StandingCall | None = None

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the call that stays; at once where something was raised."""
        self.tell_over(at_once=exc is not None)
        self.wait()

    def tell_over(self, *, at_once: bool = False) -> None:
        """Have the call end by itself, once it runs no block, or `at_once`. Waits for nothing."""
        call = self._call  # which a thread that runs a block may let go meanwhile
        if call is not None:
            call.tell_over(at_once=at_once)

    def wait(self) -> None:
        """Wait for the end of a call that was told."""
        call, self._call = self._call, None
        if call is not None:
            call.wait()

    def run(
        self,
        block: BlockNeeds,
        trials: tuple[Trial, ...],
        catalogue: Catalogue,
        on_arrival: Callable[[Arrival], None],
        cancelled: Callable[[], bool],
    ) -> ansible.Played:
        """Run the trials of one block and report each as it comes home.

        Returns how that ended; a trial that never came is simply not reported, which the caller notices.
        """
        order = execute.order(self._site, block, trials, catalogue)
        limits = self._site.limits
        over_file = None if block.generators else execute.incoming(block) / arrivals.OVER
        deadline_s = time.monotonic() + sum(limits.of_trial_s(t) for t in trials) + limits.block_s
        until = _Until(deadline_s, cancelled, over_file)
        # Generators make their load in tasks of their own, which are of one block.
        if self._call is not None and block.generators:
            self.__exit__(None, None, None)
        expected_s = [float(t["expected_s"]) for t in order["trials"]]
        over = threading.Event()
        with arrivals.WatchedArrivals(execute.incoming(block), on_arrival, over, expected_s):
            # Of what generators do there is no word but the end of their call.
            call = self._through(block, order, until, threading.Event() if block.generators else over)
        if call is None:
            return ansible.Played(True, False, False, {}, (), block.directory)  # noqa: FBT003 -- all went well
        played = call.played
        return replace(played, cancelled=False, timed_out=True) if until.is_late else played

    def _through(
        self, block: BlockNeeds, order: Mapping[str, Any], until: "_Until", news: threading.Event
    ) -> "_StandingCall | None":
        """Have an order carried out; return the call that ended with it, None where it stays.

        A call that was there may end before it takes the order: then another one has it.
        """
        while True:
            old, call = self._call, self._call or _StandingCall(self._site, block, order["trials"])
            self._call = call
            call.give(order, until, news, is_last=bool(block.generators))
            news.wait()
            if call.goes_on:
                call.rest()
                return None
            self.wait()
            if old is None or call.took_order or call.at_once or until():
                return call
            news.clear()


@dataclass(slots=True)
class _Until:
    """Says when a block that runs is to end before it does by itself."""

    deadline_s: float
    cancelled: Callable[[], bool] = lambda: False
    over: Path | None = None  # a file that says that it is over, while what came home is still looked at
    is_late: bool = False

    def __call__(self) -> bool:
        if self.over is not None and self.over.exists():
            return False
        self.is_late = self.is_late or time.monotonic() > self.deadline_s
        return self.is_late or self.cancelled()


def _never() -> bool:
    return False


class _StandingCall:
    """One call of Ansible, in a thread of its own, that runs what it is given until it is told that nothing comes."""

    def __init__(self, site: Site, first: BlockNeeds, trials: Sequence[Mapping[str, Any]]) -> None:
        """Begin, in the directory of its first block. `trials` are those that generators of that block load."""
        self._site, self._first, self._trials = site, first, trials
        self._orders = first.directory / ORDERS
        self._order: Path | None = None  # that was given last
        self._given = 0
        self._until: Callable[[], bool] = _never  # says when it is to end before it does by itself
        self.at_once = False
        self._is_ending = False  # it is being killed
        self._lock = threading.Lock()  # of the next two
        self._ended = threading.Event()
        self._news = threading.Event()
        self._played: ansible.Played | None = None
        self._fault: BaseException | None = None
        self.took_order = False
        files.make_directory(self._orders)
        try:
            self._held = (self._orders / LOCK).open("wb")  # says to the action that somebody may give orders
            fcntl.flock(self._held, fcntl.LOCK_EX)
        except OSError as err:
            raise StoreError(f"cannot lock {LOCK}: {err.strerror}", where=str(self._orders)) from err
        threading.Thread(target=self._work, daemon=True, name=f"blocks of {first.host.host}").start()

    def _work(self) -> None:
        try:
            with ansible_environment.own_tmp(self._first.directory / ansible.TMP) as environment:
                self._played = ansible.play(
                    self._site.playbook("block"),
                    self._site.inventory,
                    {
                        **execute.host_variables(self._first),
                        "cgidlab_orders_dir": str(self._orders.resolve()),
                        # For generators, whose loads are tasks of Ansible's.
                        "cgidlab_incoming_dir": str(execute.incoming(self._first).resolve()),
                        "cgidlab_trials": self._trials,
                    },
                    self._first.directory,
                    timeout_s=math.inf,
                    callbacks=ansible.Callbacks(cancelled=self._is_to_end),
                    environment=environment,
                )
        except BaseException as err:  # noqa: BLE001 -- raised again by whoever gave it something
            self._fault = err
        finally:
            with self._lock:
                self._ended.set()
                self._news.set()

    def _is_to_end(self) -> bool:
        self._is_ending = self._is_ending or self.at_once or self._until()
        return self._is_ending

    @property
    def goes_on(self) -> bool:
        """Say whether it takes further orders."""
        return not (self._ended.is_set() or self._is_ending)

    @property
    def played(self) -> ansible.Played:
        """Return how it ended; raise what it raised."""
        if self._fault is not None:
            raise self._fault
        # None: it does not end, whatever is done to it.
        return self._played or ansible.Played(False, True, False, {}, (), self._first.directory, None)  # noqa: FBT003

    def give(
        self, order: Mapping[str, Any], until: Callable[[], bool], news: threading.Event, *, is_last: bool
    ) -> None:
        """Order a block, which `until` ends before its own end. `news` is set at the latest when the call has ended."""
        self._order = None
        with self._lock:
            self._news = news
            if not self.goes_on:
                news.set()
                return
        self._until = until
        self._order = self._tell(order)
        if is_last:
            self._tell({})

    def _tell(self, order: Mapping[str, Any]) -> Path:
        self._given += 1
        path = self._orders / f"{self._given:03d}.order.json"
        files.write_json(path, order)
        return path

    def rest(self) -> None:
        """Forget what would end the block that is over."""
        self._until = _never

    def tell_over(self, *, at_once: bool) -> None:
        """Have it end once what it was given is over, or `at_once`."""
        if not self.goes_on:
            return
        self._until = _Until(time.monotonic() + _TO_END_S)
        try:
            if not at_once:
                self._tell({})
        except StoreError:  # of a full disk
            at_once = True
        self.at_once = at_once

    def wait(self) -> None:
        """Wait for its end, and put away what it was given."""
        self._ended.wait(_TO_BE_ENDED_S if self.at_once else _TO_END_S + _TO_BE_ENDED_S)
        with self._lock:  # of its end nobody hears who waits for another one by now
            self._news = threading.Event()
        self.took_order = self._order is not None and not self._order.exists()
        self._held.close()
        shutil.rmtree(self._orders, ignore_errors=True)
