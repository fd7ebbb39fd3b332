"""Starts programs in a trial, and reads what /proc says of processes."""

from __future__ import annotations

import hashlib
import os
import pwd
import resource
import signal
import stat
import subprocess
import time
from contextlib import suppress
from typing import Callable, Iterable, Mapping, NamedTuple, Optional

from . import libc
from .ending import TrialEnd

_FILES = 65536
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "TZ": "UTC",
    "LC_ALL": "C",
    # Python's setproctitle, which gunicorn uses where it is there, writes over the environment: the mark is in it.
    "SPT_NOENV": "1",
}


class Program:
    """A program of the trial: it dies with the process that started it."""

    def __init__(
        self,
        argv: list[str],
        stdout: str,
        stderr: str,
        *,
        environment: Optional[Mapping[str, str]] = None,
        setup: Optional[Callable[[], None]] = None,
        pipe: bool = False,
    ) -> None:
        """Start `argv` with its output in files, or its stdout in a pipe; raise TrialEnd when it cannot start."""

        def prepare() -> None:
            libc.die_with_parent()
            if setup is not None:
                setup()

        try:
            with open(stdout, "ab", opener=_no_link) as out, open(stderr, "ab", opener=_no_link) as err:
                self._popen = subprocess.Popen(  # the trial's end is its end: no context manager
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if pipe else out,
                    stderr=err,
                    env={**ENVIRONMENT, **(environment or {})},
                    preexec_fn=prepare,  # noqa: PLW1509 -- the caller has one thread
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise TrialEnd("infra", f"cannot start {argv[0]}: {error}") from error
        self.pid = self._popen.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.stdout_fd = self._popen.stdout.fileno() if self._popen.stdout is not None else -1

    def exit_code(self) -> Optional[int]:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """Send a signal if it still runs."""
        if self._popen.poll() is None:
            os.kill(self.pid, sig)

    def reap(self, timeout_s: float) -> int:
        """Return the exit code once it ended; kill it after `timeout_s`."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()


class Account(NamedTuple):
    """Whose rights a program has."""

    uid: int
    gid: int

    @classmethod
    def of(cls, name: str) -> Account:
        """Look a user up; raise TrialEnd (infra) where there is none."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise TrialEnd("infra", f"this host has no user {name}, as whom httpd is to run") from error
        return cls(entry.pw_uid, entry.pw_gid)

    def barred_by(self, path: str) -> Optional[str]:
        """Return the directory above `path` that this account may not pass through, or None; raise OSError."""
        while path != "/":
            path = os.path.dirname(path)
            about = os.stat(path)
            others = stat.S_IXGRP if about.st_gid == self.gid else stat.S_IXOTH
            if not about.st_mode & (stat.S_IXUSR if about.st_uid == self.uid else others):
                return path
        return None

    def become(self) -> None:
        """Give up the caller's rights for those of this account, for good: no way leads back. Call it as root."""
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def let_into(self, directory: str) -> None:
        """Let it make files in a directory of root's, and neither remove nor rename what is not its own there."""
        os.chown(directory, -1, self.gid)
        os.chmod(directory, 0o1775)  # noqa: S103 -- its group is the account's, and sticky


def raise_file_limit() -> None:
    """Allow as many open files as an httpd of thousands of workers needs, or as many as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((max(_FILES, hard), max(_FILES, hard)), (hard, hard)):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            return


def users_of(pids: Iterable[int]) -> set[int]:
    """Return the real, effective, saved and file system users of processes; those that ended have none."""
    found: set[int] = set()
    for pid in pids:
        try:
            lines = read_text(f"/proc/{pid}/status").splitlines()
        except OSError:
            continue
        found.update(int(uid) for line in lines if line.startswith("Uid:") for uid in line.split()[1:])
    return found


def take_precedence() -> None:
    """Have the caller, but nothing it starts, run before all load where that is allowed.

    For what wakes up for a moment and must not wait for a busy CPU: a sample
    that is late is missing, a window's edge that is read late is wrong.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:  # no root, or a control group without real time
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -15)


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a plain file; raise OSError."""
    digest = hashlib.sha256()
    fd = open_plain(path)
    with open(fd, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _no_link(path: str, flags: int) -> int:
    """Open a file in a directory where a program without our rights may make files: none of its links is followed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def open_plain(path: str) -> int:
    """Open a file that a program without our rights names; raise OSError where it is no plain file."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "no plain file", path)
    return fd


def read_plain(path: str) -> str:
    """Return the text of a file that a program without our rights made; raise OSError where it can be another's."""
    fd = open_plain(path)
    try:
        if os.fstat(fd).st_nlink != 1:
            raise OSError(22, "a second name of another file", path)
        return os.read(fd, 1 << 20).decode("utf-8", "replace")
    finally:
        os.close(fd)


def read_text(path: str, limit: int = 1 << 20) -> str:
    """Return the text of a file of /proc or /sys; raise OSError when it is gone."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while limit > 0:
            part = os.read(fd, min(limit, 1 << 16))
            if not part:
                break
            parts.append(part)
            limit -= len(part)
        return b"".join(parts).decode("utf-8", "replace")
    finally:
        os.close(fd)


def write_text(path: str, text: str) -> None:
    """Write to a file of /proc or /sys in one go; raise OSError where that is refused."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def cpu_clock(pid: int) -> int:
    """Return the clock that holds the CPU time of all threads of a process (CPUCLOCK_SCHED, linux/posix-timers.h)."""
    return (~pid << 3) | 2


def cpu_time_ns(pid: int) -> int:
    """Return the CPU time of all threads of a process, 0 when it is gone."""
    try:
        return time.clock_gettime_ns(cpu_clock(pid))
    except OSError:
        return 0


def start_ticks(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks since boot; with the pid it names one process. None: gone."""
    try:
        return int(read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


def nice_of(pid: int) -> int:
    """Return the nice value that /proc has for a process; raise OSError when it is gone."""
    return int(read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[16])


def parent_of(pid: int) -> Optional[int]:
    """Return the parent's pid, or None when the process is gone or a zombie."""
    try:
        fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])


def pids() -> list[int]:
    """Return all processes of the PID namespace that /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid: int) -> list[int]:
    """Return the living children of a process, oldest first."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        found = [int(c) for t in tasks for c in read_text(f"/proc/{pid}/task/{t}/children").split()]
    except (FileNotFoundError, ProcessLookupError):  # a kernel without CONFIG_PROC_CHILDREN, or the process is gone
        found = [p for p in pids() if parent_of(p) == pid]
    return sorted(c for c in found if parent_of(c) == pid)


def end_children(spared: Iterable[int], timeout_s: float = 5.0) -> None:
    """Kill and reap all children of the caller but some, and theirs where it adopts orphans.

    Raises TimeoutError where they do not end, or go on to be born.
    """
    deadline, own = time.monotonic() + timeout_s, set(spared)
    while left := [pid for pid in children(os.getpid()) if pid not in own]:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        while left:
            left = [pid for pid in left if os.waitpid(pid, os.WNOHANG) == (0, 0)]
            if time.monotonic() > deadline:
                raise TimeoutError(110, "what the trial left running does not end")
            time.sleep(0.001)  # waitpid knows no time limit


def has_socket(pid: int, inode: int) -> bool:
    """Say whether a process holds the socket with this inode."""
    want = f"socket:[{inode}]"
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}") == want:
                return True
        except OSError:  # noqa: PERF203 -- a descriptor may be closed between the two calls
            continue
    return False
