"""The block process: runs the trials of a block one after the other and packs what they leave."""

from __future__ import annotations

import os
import secrets
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Optional

from . import archive, group, jsontext, lease, libc, namespaces, own, process, undo, workdir
from .blockfile import Block, TrialOrder
from .ending import TrialEnd, from_os_error
from .generation import Generation
from .instruments import INSTRUMENTS
from .record import Record, Teller
from .sentinel import Sentinel
from .server import Places
from .trial import BlockCommons, Trial
from .waiting import Patience
from .wholefile import write_json

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOP_S = 10.0  # for a trial to end by itself once it was told to


class BlockRun:
    """Runs in a process of its own, single-threaded, since it forks."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._watch = lease.Watch(block.control, block.work_dir, block.lease_s)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopped = ""
        # Tells this block's sockets from all others of the machine, whose processes bpf sees too.
        self._unique = secrets.token_hex(4)
        self._kept: dict[str, object] = {}  # by instrument, what stays from trial to trial
        self._sentinel: Optional[Sentinel] = None  # None where others make what is measured

    def run(self) -> None:
        """Run all trials; return early when told to stop or when the control process is gone."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for sig in _STOP_SIGNALS:
            signal.signal(sig, lambda *_: None)
        libc.adopt_orphans()  # what a trial of isolation: host leaves, whatever it did to its session and environment
        own_group, why = None, ""
        if not self._block.generates:
            own_group, why = group.make(self._block.blocks_dir)
            self._sentinel = Sentinel(own_group, why)
        try:
            for order in self._block.trials:
                if not self._stopped:
                    self._run_one(order)
        finally:
            if own_group is not None:
                _leave(own_group)
        if self._stopped:
            _log(f"stopped: {self._stopped}")

    def _places(self, order: TrialOrder) -> Places:
        work_dir = self._block.work_dir
        # Of its own where it has a mount namespace.
        base = "/run" if order.settings["isolation"] == "namespaces" else own.sockets_place()
        return Places(
            os.path.join(work_dir, order.name), os.path.join(base, own.sockets_name(self._unique, order.number))
        )

    def _run_one(self, order: TrialOrder) -> None:
        places = self._places(order)
        record = Record(order.key)
        before = process.children(os.getpid())
        try:
            own.discard(places.trial)
            os.mkdir(places.trial, 0o755)
            self._keep(order, places)
            if self._sentinel is not None and not self._sentinel.has_begun:
                self._sentinel.gap()
            self._run_processes(order, places, record)
        except OSError as error:
            record.override(from_os_error("running the trial", error))
        except Exception as error:  # noqa: BLE001 -- a fault of ours in one trial must not stop the block
            traceback.print_exc()
            record.override(TrialEnd("infra", f"{type(error).__name__}: {error}"))
        finally:
            if order.settings["isolation"] == "host":
                for problem in self._undone(before):
                    record.override(TrialEnd("infra", f"could not be undone: {problem}"))
        self._watch_gap(places, record)
        self._collect(order, places, record)

    def _undone(self, before: list[int]) -> list[str]:
        """Undo what a trial changed on the host, and end what it left running; return what could not be."""
        problems = undo.undo(self._block.work_dir)
        try:
            process.end_children(before)
        except OSError as error:
            problems.append(error.strerror or str(error))
        return problems

    def _watch_gap(self, places: Places, record: Record) -> None:
        """Look at the host once everything of the trial is gone, and write down what disturbed it."""
        edges = record.result.pop("sentinel", None)
        if self._sentinel is None or self._stopped or edges is None or "end" not in edges:
            return
        begin_ns = time.monotonic_ns()
        try:
            write_json(os.path.join(places.instruments, "sentinel.json"), self._sentinel.document(edges))
        except OSError as error:
            record.override(from_os_error("writing what disturbed the trial", error))
        record.phase("gap", begin_ns, time.monotonic_ns())

    def _keep(self, order: TrialOrder, places: Places) -> None:
        """Have there what the trial's instruments keep from trial to trial, and gone what others kept."""
        prefix = f"{os.path.dirname(places.run)}/cgid-{self._unique}-"
        for name, kind in INSTRUMENTS.items():
            has_nothing = self._block.generates or (kind.needs_queue and order.system.why_no_queue)
            wanted = name in order.instruments and not has_nothing
            self._kept[name] = kind.keep(self._kept.get(name), prefix, wanted=wanted)

    def _run_processes(self, order: TrialOrder, places: Places, record: Record) -> None:
        stop_read, stop_write = os.pipe()
        hear_fd, tell_fd = os.pipe()
        isolated = order.settings["isolation"] == "namespaces"
        if not isolated:
            undo.note(self._block.work_dir, directory=places.run)
            undo.note(self._block.work_dir, trial=places.trial)
        server_user = self._block.server_user if os.geteuid() == 0 else None

        def first(trouble: str) -> None:
            signal.set_wakeup_fd(-1)
            for sig in _STOP_SIGNALS:
                signal.signal(sig, signal.SIG_DFL)
            for fd in (stop_write, hear_fd):
                os.close(fd)

            def journal(setting: str, old: str, new: str) -> None:
                if not isolated:
                    undo.note(self._block.work_dir, sysctl=setting, old=old, new=new)

            patience, teller = Patience(stop_read), Teller(tell_fd)
            if self._block.generates:
                Generation(order, self._block.tools, places, patience, teller).run(trouble)
                return
            given = BlockCommons(self._block.tools, self._kept, server_user, self._sentinel)
            Trial(order, given, places, patience, teller, journal).run(trouble)

        begin_ns = time.monotonic_ns()
        keeper = namespaces.start(first, isolated=isolated)
        os.close(stop_read)
        os.close(tell_fd)
        try:
            self._follow(order, keeper, hear_fd, stop_write, record)
        finally:
            os.close(hear_fd)
            os.close(stop_write)
        end_ns = time.monotonic_ns()
        for phase in record.result["phases"]:
            if phase["name"] == "namespaces":
                phase["begin_ns"] = begin_ns
        record.phase("stop", record.result.pop("stopping_ns", end_ns), end_ns)

    def _follow(self, order: TrialOrder, keeper: int, hear_fd: int, stop_fd: int, record: Record) -> None:
        """Listen to a trial until everything of it is gone."""
        keeper_fd = os.pidfd_open(keeper)
        deadline = time.monotonic() + order.seconds("warmup_s") + order.seconds("window_s") + 120.0
        told = False
        late: Optional[TrialEnd] = None
        try:
            while True:
                ready = self._wait([hear_fd, keeper_fd], deadline - time.monotonic())
                if hear_fd in ready:
                    record.hear(os.read(hear_fd, 1 << 16))
                if keeper_fd in ready:
                    break
                if self._stopped and not told:
                    told = True
                    with suppress(BrokenPipeError):
                        os.write(stop_fd, b"x")
                    deadline = time.monotonic() + _STOP_S
                    late = TrialEnd("interrupted", self._stopped)
                if time.monotonic() > deadline:
                    late = late or TrialEnd("timeout", "the trial did not end within its time")
                    os.kill(keeper, signal.SIGKILL)
                    deadline += 3600
        finally:
            os.close(keeper_fd)
        os.waitpid(keeper, 0)
        os.set_blocking(hear_fd, False)
        with suppress(BlockingIOError):
            while data := os.read(hear_fd, 1 << 16):
                record.hear(data)
        if late is not None:
            record.override(late)

    def _wait(self, fds: list[int], timeout_s: float) -> list[int]:
        """Return the ready ones of `fds`; note orders to stop on the way."""
        poll = select.poll()
        for fd in [*fds, self._wake_read]:
            poll.register(fd, select.POLLIN)
        if self._watch.pidfd is not None and not self._stopped:
            poll.register(self._watch.pidfd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(1000 * max(0.0, min(timeout_s, self._watch.look_every_s)))]
        if self._wake_read in ready:
            os.read(self._wake_read, 64)
            self._stopped = "the block was stopped"
        if self._watch.pidfd in ready or self._watch.expired():
            self._stopped = self._stopped or "the control process is gone"
        return ready

    def _collect(self, order: TrialOrder, places: Places, record: Record) -> None:
        begin_ns = time.monotonic_ns()

        def result() -> bytes:
            record.result["phases"] = [p for p in record.result["phases"] if p["name"] != "collect"]  # of a first try
            record.phase("collect", begin_ns, time.monotonic_ns())
            return jsontext.dumps(record.result, indent=1).encode()

        path = os.path.join(self._block.work_dir, f"{order.name}.tar.gz")
        packed: Optional[archive.Archive] = None
        try:
            packed = archive.pack(places.trial, path, result)
        except OSError as error:  # a full disk above all: how the trial ended may still fit when its files are gone
            record.override(from_os_error("packing the trial", error))
            own.discard(places.trial)
            with suppress(OSError):
                os.mkdir(places.trial)
                packed = archive.pack(places.trial, path, result)
        own.discard(places.trial)
        entry = {
            "number": order.number,
            "key": order.key,
            **{name: record.result[name] for name in ("ended", "kind", "reason")},
            "archive": None if packed is None else packed.path,
            "sha256": None if packed is None else packed.sha256,
            "bytes": None if packed is None else packed.size_bytes,
        }
        _log(jsontext.dumps(entry))
        try:
            workdir.add_ended(self._block.work_dir, entry)
        except OSError as error:
            _log(f"cannot note the end of trial {order.number}: {error}")


def _leave(own_group: group.Group) -> None:
    try:
        own_group.leave()
    except OSError as error:  # the next block, or `recover`, removes it
        _log(f"the control group {own_group.path} stays: {error.strerror or error}")


def _log(line: str) -> None:
    """Write a line to the block's log, which is this process's stdout; a full disk must not end the block."""
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
