"""What each verb does. Every verb prints one JSON line; BlockError is for __main__ to show."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import replace
from typing import Optional

from . import blockfile, group, lease, libc, mailbox, own, undo, workdir
from .block import BlockRun
from .ending import BlockError
from .wholefile import as_json

_IN_CLOSE_WRITE = 8
_HOST_S = 15.0
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


def say(**answer: object) -> None:
    """Print the verb's answer."""
    sys.stdout.write(as_json(answer) + "\n")
    sys.stdout.flush()


def start(path: str, number: Optional[int] = None) -> None:
    """Start the block process and return at once; raise BlockError when another one holds the work directory.

    With `number` it runs that trial alone, once the one before it has ended.
    """
    path = os.path.abspath(path)
    block = _only(blockfile.read(path), number)
    work_dir = block.work_dir
    if os.path.realpath(os.path.dirname(path)) != os.path.realpath(work_dir):
        raise BlockError(f"{path} is not in its work directory {work_dir}")
    os.close(own.opened(work_dir))
    lock = workdir.Lock(work_dir)
    if not lock.wait(0.0 if number is None else _HOST_S):
        raise BlockError(f"{workdir.owner_text(work_dir)} runs a block in {work_dir}: stop it first")
    host_lock = None if block.host_dir is None else have_host(block.host_dir)
    dead = [] if block.host_dir is None else dead_blocks(block.host_dir, work_dir)
    for directory in [work_dir, *dead]:
        problems = undo.undo(directory)
        if problems:
            raise BlockError(f"changes of an earlier block could not be undone: {'; '.join(problems)}")
        if directory != work_dir:
            own.remove(*os.path.split(directory))
    group.remove_dead(block.blocks_dir)
    _forget_earlier(block)
    lease.renew(work_dir)
    signed_read, signed_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_block_process(block, [lock] if host_lock is None else [lock, host_lock], signed_write)
    os.close(signed_write)
    if not os.read(signed_read, 1):
        raise BlockError(f"the block process did not start; see {os.path.join(work_dir, workdir.LOG)}")
    say(pid=pid, dir=work_dir)


def _only(block: blockfile.Block, number: Optional[int]) -> blockfile.Block:
    if number is None:
        return block
    wanted = tuple(trial for trial in block.trials if trial.number == number)
    if not wanted:
        raise BlockError(f"the block has no trial {number}")
    return replace(block, trials=wanted)


def have_host(host_dir: str) -> workdir.Lock:
    """Return the lock of the host, held; raise BlockError with who has it. One that was told to stop is waited for."""
    lock = workdir.Lock(host_dir)
    if not lock.wait(_HOST_S):
        raise BlockError(f"{workdir.owner_text(host_dir)} runs a block on this host, below {host_dir}: stop it first")
    return lock


def dead_blocks(host_dir: str, mine: str) -> list[str]:
    """Return the directories of blocks that did not clean up, `mine` aside.

    Call it with the host's lock: none of them lives.
    """
    paths = [os.path.join(host_dir, name) for name in own.blocks(host_dir)]
    return [path for path in paths if os.path.realpath(path) != os.path.realpath(mine)]


def _forget_earlier(block: blockfile.Block) -> None:
    """Remove what an earlier block left here, so that nobody takes it for this one's."""
    for name in os.listdir(block.work_dir):
        path = os.path.join(block.work_dir, name)
        if name == workdir.ENDED or name.endswith((".tar.gz", ".part")) or mailbox.is_word(name):
            os.unlink(path)
        elif name.isdigit():
            own.remove(block.work_dir, name)


def _become_block_process(block: blockfile.Block, locks: list[workdir.Lock], signed_fd: int) -> None:
    code = 1
    try:
        os.setsid()
        log = os.open(os.path.join(block.work_dir, workdir.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.chdir("/")
        os.umask(0o022)
        for lock in locks:
            lock.sign()
        run = BlockRun(block)
        os.write(signed_fd, b"x")
        os.close(signed_fd)
        run.run()
        code = 0
    except BaseException:  # noqa: BLE001 -- nobody above this process could report it: it goes to the log
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(work_dir: str, number: int, timeout_s: float, *, ready: bool = False) -> None:
    """Print how a trial ended, that it has not within the time, or that nobody is left who could run it.

    With `ready`, print as well that its server can be loaded from elsewhere.

    Renews the lease meanwhile, sleeps without polling, and returns early when
    nobody reads its output any more.
    """
    workdir.require(work_dir)
    lease_s = blockfile.read(os.path.join(work_dir, "block.json")).lease_s
    deadline = time.monotonic() + timeout_s
    changes = libc.inotify(work_dir, _IN_CLOSE_WRITE)
    process = workdir.block_process(work_dir)
    poll = select.poll()
    poll.register(changes, select.POLLIN)
    poll.register(sys.stdout.fileno(), 0)
    if process is not None:
        poll.register(process, select.POLLIN)
    dead = process is None
    while True:
        _renew(work_dir, needed=not dead)
        entry = workdir.ended(work_dir, number)
        if entry is not None:
            say(state="ended", **entry)
            return
        word = mailbox.read(work_dir, number, mailbox.READY) if ready else None
        if word is not None:
            say(number=number, state="ready", **word)
            return
        left_s = deadline - time.monotonic()
        if dead or left_s <= 0:
            say(number=number, state="dead" if dead else "waiting")
            return
        for fd, event in poll.poll(1000 * min(left_s, lease_s / 3)):
            if fd == sys.stdout.fileno() and event & _GONE:
                return
            if fd == changes:
                os.read(changes, 1 << 16)
            if fd == process:
                dead = True


def _renew(work_dir: str, *, needed: bool) -> None:
    if needed:
        lease.renew(work_dir)


def stop(work_dir: str, timeout_s: float = 60.0) -> None:
    """End the block cleanly and return when nothing of it lives; raise BlockError when something does."""
    workdir.require(work_dir)
    end_block(work_dir, timeout_s)
    say(dir=work_dir, stopped=True)


def end_block(work_dir: str, timeout_s: float = 60.0) -> None:
    """As `stop`, without a word."""
    deadline = time.monotonic() + timeout_s
    process = workdir.block_process(work_dir)
    if process is not None:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        select.select([process], [], [], timeout_s)
        os.close(process)
    lock = workdir.Lock(work_dir)
    if not lock.wait(deadline - time.monotonic()):  # the kernel is ending what the block process forked
        raise BlockError(f"{workdir.owner_text(work_dir)} of {work_dir} does not end within {timeout_s:g} s")
    lock.close()


def cleanup(work_dir: str) -> None:
    """Remove the work directory after making sure that nothing of it lives and nothing is left to undo."""
    if os.path.isdir(work_dir) and not os.listdir(work_dir):  # the run ended before its block was written
        os.rmdir(work_dir)
    elif os.path.isdir(work_dir):
        workdir.require(work_dir)
        end_block(work_dir)
        problems = undo.undo(work_dir)
        if problems:
            raise BlockError(f"could not be undone: {'; '.join(problems)}")
        for directory in (work_dir, os.path.dirname(os.path.normpath(work_dir))):
            group.remove_dead(directory)
        # Under another name: whoever still waits for a trial there would put a lease into what is being removed.
        place, name = os.path.split(os.path.normpath(work_dir))
        own.rename(place, name, f"{name}.leaving")
        own.remove(place, f"{name}.leaving")
    say(dir=work_dir, removed=True)
