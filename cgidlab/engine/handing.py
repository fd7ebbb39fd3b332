"""Blocks of trials handed to a host, one after the other, through one call of Ansible that stays.

To begin a call and to end it takes four seconds, in which nothing is measured. So a call waits for orders: the
role's action (cgidlab_blocks) runs the block of each, and leaves what came home, and the word that it is over.
"""

import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, cast

from cgidlab import files
from cgidlab.design.catalogue import Catalogue
from cgidlab.engine import ansible, ansible_environment, arrivals, execute
from cgidlab.engine.arrivals import Arrival
from cgidlab.engine.execute import BlockNeeds, Site
from cgidlab.errors import StoreError
from cgidlab.model import Trial

ORDERS = "orders"  # in the directory of a call, and gone with it
_TO_END_S = 60.0  # for a call that has no more orders
_TO_BE_ENDED_S = 5.0  # for one that is not waited for


def run_block(
    site: Site,
    block: BlockNeeds,
    trials: tuple[Trial, ...],
    catalogue: Catalogue,
    on_arrival: Callable[[Arrival], None],
    cancelled: Callable[[], bool],
) -> ansible.Played:
    """Run one block in a call of its own; see `BlockCalls.run`."""
    with BlockCalls(site) as calls:
        return calls.run(block, trials, catalogue, on_arrival, cancelled)


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
        """Have the call, which runs no block, end by itself or `at_once`. One that has to is not waited for here."""
        call = self._call
        if call is None or call.has_ended:
            return
        try:
            if not at_once:
                call.tell_over()
        except StoreError:  # of a full disk
            at_once = True
        call.until = _Until(time.monotonic() + (0.0 if at_once else _TO_END_S))

    def wait(self) -> None:
        """Wait for the end of a call that was told."""
        if self._call is not None:
            self._call.wait(_TO_END_S + _TO_BE_ENDED_S)
            self._call = None

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
        until = _Until(time.monotonic() + sum(limits.of_trial_s(t) for t in trials) + limits.block_s, cancelled)
        # Generators make their load in tasks of their own, which are of one block.
        if self._call is not None and (self._call.has_ended or block.generators):
            self.__exit__(None, None, None)
        call = self._call = self._call or _StandingCall(self._site, block, order["trials"])
        with arrivals.WatchedArrivals(execute.incoming(block), on_arrival, call.news, len(trials)):
            call.give(order, until)
            if block.generators:
                call.tell_over()
                call.wait()
            else:
                call.news.wait()
        if not call.has_ended:
            call.until = lambda: False
            return ansible.Played(True, False, False, {}, (), block.directory)  # noqa: FBT003
        self.wait()
        played = call.played
        return replace(played, cancelled=False, timed_out=True) if until.is_late else played


@dataclass(slots=True)
class _Until:
    """Says when a block that runs is to end before it does by itself."""

    deadline_s: float
    cancelled: Callable[[], bool] = lambda: False
    is_late: bool = False

    def __call__(self) -> bool:
        self.is_late = self.is_late or time.monotonic() > self.deadline_s
        return self.is_late or self.cancelled()


class _StandingCall:
    """One call of Ansible, in a thread of its own, that runs what it is given until it is told that nothing comes."""

    def __init__(self, site: Site, first: BlockNeeds, trials: Sequence[Mapping[str, Any]]) -> None:
        """Begin, in the directory of its first block. `trials` are those that generators of that block load."""
        self._site, self._first, self._trials = site, first, trials
        self._orders = first.directory / ORDERS
        self._given = 0
        self._played: ansible.Played | None = None
        self._fault: BaseException | None = None
        self._ended = threading.Event()
        self.until: Callable[[], bool] = lambda: False  # says when it is to end at once
        self.news = threading.Event()  # of what was given last, or of its own end
        files.make_directory(self._orders)
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
            self._ended.set()
            self.news.set()

    @property
    def has_ended(self) -> bool:
        """Say whether it gives no more news."""
        return self._ended.is_set()

    @property
    def played(self) -> ansible.Played:
        """Return how it ended; raise what it raised."""
        if self._fault is not None:
            raise self._fault
        return cast("ansible.Played", self._played)

    def _is_to_end(self) -> bool:
        return self.until()

    def give(self, order: Mapping[str, Any], until: Callable[[], bool]) -> None:
        """Order a block, which `until` ends before its own end."""
        self.news.clear()
        if self.has_ended:
            self.news.set()
            return
        self.until = until
        self._tell(order)

    def _tell(self, order: Mapping[str, Any]) -> None:
        self._given += 1
        files.write_json(self._orders / f"{self._given:03d}.order.json", order)

    def tell_over(self) -> None:
        """Have it end once what it was given is over."""
        self._tell({})

    def wait(self, most_s: float | None = None) -> None:
        """Wait for its end, and put away what it was given."""
        self._ended.wait(most_s)
        shutil.rmtree(self._orders, ignore_errors=True)
