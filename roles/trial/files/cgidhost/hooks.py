"""The user's own programs beside a trial: before its load, in its window and after it. None of them ever ends it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from . import libc, waiting
from .process import ENVIRONMENT
from .undo import MARK
from .waiting import Patience

BEFORE, DURING, AFTER = EVENTS = ("before_trial", "during_window", "after_trial")
LIMIT_S = 30.0  # for the first and the last one
END_S = 10.0  # from SIGTERM to SIGKILL, for what ran in the window
_MIB = 1 << 20
_MOST_FILE_BYTES = 256 * _MIB
_MOST_BYTES = 512 * _MIB  # of all hooks of a trial
_MOST_FILES = 1000
_SAID_CHARACTERS = 300  # the control machine takes 500
_AS_TOLD = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@dataclass
class _Started:
    """A hook that was started: the first of a session of its own."""

    event: str
    argv: list[str]
    popen: subprocess.Popen[bytes]
    began_ns: int


class TrialHooks:
    """The hooks of one trial. Each leaves its output, and whatever it writes where it is started, in `directory`."""

    def __init__(self, wanted: Mapping[str, tuple[str, ...]], trial_dir: str, tell: Callable[[str, Any], None]) -> None:
        """`tell` is given each hook's name and what became of it."""
        self._wanted = wanted
        self._trial_dir = trial_dir
        self._directory = os.path.join(trial_dir, "hooks")
        self._tell = tell
        self._given: Mapping[str, str] = {}
        self._running: Optional[_Started] = None
        self._ready = False

    def before(self, given: Mapping[str, str], patience: Patience) -> None:
        """Run the first one to its end. `given` is what all of them are told, by name: see `told`.

        Raises TrialEnd for an order to stop, and nothing else.
        """
        if not self._wanted:
            return
        self._given, self._ready = given, True
        with suppress(OSError):  # without its directory none can start, and each says why
            os.mkdir(self._directory, 0o755)
        with suppress(OSError):
            self._run(BEFORE, patience)

    def window_begins(self) -> None:
        """Start the one that runs in the window."""
        self._running = self._started(DURING) if self._ready else None

    def window_ends(self) -> None:
        """Tell it to end, and do not wait for that."""
        if self._running is not None:
            _signal(self._running, signal.SIGTERM)

    def finish(self, patience: Patience) -> None:
        """Have the one of the window end, run the last one, and see to it that they left no more than they may."""
        if not self._ready:
            return
        try:
            if self._running is not None:
                self.window_ends()  # where the trial ended before its window did
                self._ended(self._running, patience, END_S, _AS_TOLD)
            self._run(AFTER, patience)
        finally:
            self._bound()

    def _run(self, event: str, patience: Patience) -> None:
        started = self._started(event)
        if started is not None:
            self._ended(started, patience, LIMIT_S, (0,))

    def _started(self, event: str) -> Optional[_Started]:
        words = self._wanted.get(event)
        if words is None:
            return None
        argv = [self._given.get(word[1:-1], word) if word[:1] + word[-1:] == "{}" else word for word in words]
        variables = {f"CGIDLAB_{name.upper()}": value for name, value in self._given.items()}

        def prepare() -> None:
            libc.die_with_parent()
            os.setsid()
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, 0)  # the trial's first process may go before all load
            resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE_BYTES, _MOST_FILE_BYTES))

        began_ns = waiting.now_ns()
        try:
            with open(os.path.join(self._directory, f"{event}.output"), "wb") as output:
                popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self._directory,
                    env={**ENVIRONMENT, MARK[:-1]: self._trial_dir, "CGIDLAB_TRIAL_DIR": self._trial_dir, **variables},
                    preexec_fn=prepare,  # noqa: PLW1509 -- the caller has one thread
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._say(event, argv, None, f"it cannot be started: {error}", began_ns, 0)
            return None
        return _Started(event, argv, popen, began_ns)

    def _ended(self, one: _Started, patience: Patience, limit_s: float, fine: tuple[int, ...]) -> None:
        """Wait for a hook and end what is left of it: what it started in the background as well."""
        late = False
        fd = os.pidfd_open(one.popen.pid)
        try:
            late = not patience.readable([fd], limit_s)
        finally:
            os.close(fd)
            _signal(one, signal.SIGKILL)
            _, status, used = os.wait4(one.popen.pid, 0)
            one.popen.returncode = code = waiting.code_of(status)
        why = ""
        if late:
            why = f"it was killed after {limit_s:g} s"
        elif code not in fine:
            why = f"it ended with {code}{self._said(one.event)}"
        self._say(one.event, one.argv, code, why, one.began_ns, int((used.ru_utime + used.ru_stime) * 1e9))

    def _said(self, event: str) -> str:
        """Return the last line of what it printed."""
        try:
            with open(os.path.join(self._directory, f"{event}.output"), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1]}" if lines else ""

    def _say(self, event: str, argv: list[str], code: Optional[int], why: str, began_ns: int, cpu_ns: int) -> None:
        why = "".join(c if c.isprintable() else "?" for c in why)[:_SAID_CHARACTERS]
        times = {"began_ns": began_ns, "ended_ns": waiting.now_ns(), "cpu_ns": cpu_ns}
        self._tell(event, {"argv": argv, "exit_code": code, "reason": why, **times})

    def _bound(self) -> None:
        """Remove what they left where that is more than a trial may bring home."""
        count = size = 0
        for place, directories, names in os.walk(self._directory):
            count += len(names) + len(directories)
            for name in names:
                with suppress(OSError):
                    size += os.lstat(os.path.join(place, name)).st_size
        if count > _MOST_FILES or size > _MOST_BYTES:
            shutil.rmtree(self._directory, ignore_errors=True)
            most = f"{_MOST_FILES} files and {_MOST_BYTES // _MIB} MiB"
            why = f"{count} files of {size // _MIB} MiB were left, and removed: at most {most} are kept"
            self._tell("kept", {"argv": [], "exit_code": None, "reason": why})


def _signal(one: _Started, sig: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.popen.pid, sig)


def told(
    order_settings: Mapping[str, object], httpd_pid: int, daemon_pid: Optional[int], pids: list[int]
) -> dict[str, str]:
    """Return what hooks are told: CGIDLAB_ and the name in capitals as a variable, or a word {name} of the command."""
    return {
        **{f"set_{name}": str(value) for name, value in order_settings.items()},
        "httpd_pid": str(httpd_pid),
        "daemon_pid": "" if daemon_pid is None else str(daemon_pid),
        "pids": ",".join(map(str, pids)),
        "window_s": str(order_settings["window_s"]),
    }
