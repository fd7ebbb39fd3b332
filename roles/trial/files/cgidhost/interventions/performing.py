"""Interventions in a trial's window, each between untouched slots, in random order: interventions.csv and .json.

They are made by a process of its own that ends with the trial's first process; what it has stopped goes on then, and
what it has started ends. Where that process is killed, the first process sees to it.
"""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, Iterator, Optional, Sequence

from .. import SCHEMA_VERSION, libc, process, waiting
from ..ending import TrialEnd, Unavailable
from ..load import Timed
from ..wholefile import write_json
from . import INTERVENTIONS
from .base import Intervention, Subject, sleep_until

CSV, JSON = "interventions.csv", "interventions.json"
UNTOUCHED = "untouched"
_NS = 1_000_000_000
_LOOK_NS = 250_000_000  # for that long something stays stopped at most where nobody else lets it go on
_PROBE_S = 20.0
_END_S = 2.0

Turn = tuple[Intervention, float]


def turns(able: Sequence[Intervention], count: int, seed: str) -> Iterator[Turn]:
    """Yield so many interventions with their doses: round after round of all of them, each in an order of its own."""
    order = random.Random(seed)  # noqa: S311 -- an order, not a secret
    made = 0
    while able and made < count:
        a_round = [(one, dose) for one in able for dose, times in one.doses for _ in range(times)]
        order.shuffle(a_round)
        yield from a_round[: count - made]
        made += len(a_round)


class Performance:
    """The process that makes them, as the trial's first process sees it."""

    def __init__(self, subject: Subject, directory: str, seed: str, slot_s: float, window_s: float) -> None:
        """Start it; it finds out what can be done here, and then waits for the window."""
        self._subject = subject
        self._begin_read, self._begin_write = os.pipe2(os.O_CLOEXEC)
        ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
        slots = int(window_s / slot_s)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ready_read)
            os.close(self._begin_write)
            _leave(
                parent, _Performer(subject, directory, seed, int(slot_s * _NS), slots), self._begin_read, ready_write
            )
        os.close(ready_write)
        os.close(self._begin_read)
        self._ready = ready_read
        self.pidfd = os.pidfd_open(self._pid)
        self._code: Optional[int] = None
        self._window_ns = int(window_s * _NS)

    def wait_until_ready(self, patience: waiting.Patience) -> None:
        """Return when it knows what can be done; raise TrialEnd (infra) where it ends before, or takes too long."""
        if not patience.readable([self._ready], _PROBE_S) or not os.read(self._ready, 1):
            raise TrialEnd("infra", "what can be held back here could not be found out")

    def begin(self) -> None:
        """Let it begin: the window has."""
        os.write(self._begin_write, waiting.now_ns().to_bytes(8, "little"))

    def looks(self) -> list[Timed]:
        """Return when to look whether it still runs, beside the load."""
        return [Timed(ns, self.check) for ns in range(_LOOK_NS, self._window_ns, _LOOK_NS)]

    def check(self) -> None:
        """Raise TrialEnd (infra) when it ended before it was done; what it left stopped goes on."""
        self._wait(0.0)
        if self._code:
            raise TrialEnd("infra", f"the process that holds things back ended with {self._code}")

    def finish(self) -> None:
        """Return when it is over; raise TrialEnd (infra) where it did not come to its end by itself."""
        self._wait(_END_S)
        late = self._code is None
        self.stop()
        if late:
            raise TrialEnd("infra", "the process that holds things back did not come to its end")
        self.check()

    def stop(self) -> None:
        """End it, where it is not over; everything is then as it was."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self._code is None:
                os.kill(self._pid, sig)
                self._wait(_END_S)

    def _wait(self, timeout_s: float) -> None:
        if self._code is None and select.select([self.pidfd], [], [], timeout_s)[0]:
            self._reap()

    def _reap(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        self._code = waiting.code_of(status)
        if self._code:  # killed perhaps, in the middle of something
            for pid in (self._subject.server.acceptor(), self._subject.load_pid):
                if pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)


class _TrialOver(Exception):  # noqa: N818 -- an order, no error
    """The trial is over."""


class _Performer:
    """In the process itself."""

    def __init__(self, subject: Subject, directory: str, seed: str, slot_ns: int, slots: int) -> None:
        self._subject, self._directory, self._seed = subject, directory, seed
        self._slot_ns, self._slots = slot_ns, slots

    def found(self) -> list[Intervention]:
        """Try all of them, write down which cannot be made and why, and return the others."""
        able, told = [], []
        for kind in INTERVENTIONS.values():
            one = kind(self._subject)
            reason = _why_not(one)
            told.append({"name": kind.name, "effect": kind.effect, "component": kind.component, "reason": reason})
            if not reason:
                able.append(one)
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "slot_ns": self._slot_ns,
            "cpus": self._subject.cpus,
            "interventions": told,
        }
        write_json(os.path.join(self._directory, JSON), document)
        return able

    def perform(self, able: Sequence[Intervention], begin_ns: int) -> None:
        """Make them, every other slot, and write each slot down when it is over."""
        order = turns(able, (self._slots - 1) // 2, self._seed)
        with open(os.path.join(self._directory, CSV), "w", encoding="ascii") as file:
            file.write("begin_ns,end_ns,intervention,asked_ppm,dose_ppm\n")
            for number in range(self._slots):
                turn = next(order, None) if number % 2 else None
                slot_ns = begin_ns + number * self._slot_ns
                sleep_until(slot_ns)
                from_ns = waiting.now_ns()
                until_ns = slot_ns + self._slot_ns
                name, asked, dose = UNTOUCHED, 0.0, 0.0
                if turn is None:
                    sleep_until(until_ns)
                else:
                    name, asked = turn[0].name, turn[1]
                    dose = turn[0].perform(asked, until_ns)
                file.write(f"{from_ns},{until_ns},{name},{round(1e6 * asked)},{round(1e6 * dose)}\n")
                file.flush()


def _why_not(one: Intervention) -> str:
    try:
        one.probe()
    except Unavailable as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _leave(parent: int, performer: _Performer, begin_fd: int, ready_fd: int) -> None:
    """Be the process, and end with it: nothing of this returns into the code that forked it."""
    code = 70
    try:
        code = _be(parent, performer, begin_fd, ready_fd)
    except _TrialOver:
        code = 0
    except OSError as error:
        code = error.errno or errno.EIO
        traceback.print_exc()
    except BaseException:  # noqa: BLE001 -- nobody above this process could report it: it goes to the block's log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _be(parent: int, performer: _Performer, begin_fd: int, ready_fd: int) -> int:
    def ended(*_: object) -> None:
        raise _TrialOver

    signal.signal(signal.SIGTERM, ended)
    libc.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        return 0
    process.take_precedence()
    able = performer.found()
    os.write(ready_fd, b"x")
    word = os.read(begin_fd, 8)
    if len(word) == 8:  # noqa: PLR2004 -- a whole moment, and not the end of the one who would have told it
        performer.perform(able, int.from_bytes(word, "little"))
    return 0
