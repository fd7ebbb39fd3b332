"""How much a host may answer, and for how long: what reads an answer first ends it when it is more.

Ansible's connections read all that comes. So a thread looks on meanwhile, at what this process has grown by and at the
file that arrives, and ends the program that brings it (ssh, sftp, a shell) with all that it started.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.plugins.action import ActionBase

WORDS_BYTES = 4 << 20  # of an answer that says something
WORDS_S = 120.0  # of one that nobody has to wait for
_LOOK_S = 0.1
_COPIES = 4  # that Ansible makes of an answer: bytes, text, lines
_ELSE_BYTES = 64 << 20  # that a worker of Ansible may grow by meanwhile
_SHOWN = 200


def hear(
    action: ActionBase,
    host: str,
    command: str,
    *,
    most_bytes: int = WORDS_BYTES,
    most_s: float = WORDS_S,
    sudoable: bool = True,
    given: bytes | None = None,
) -> dict[str, Any]:
    """Return what a command on the host says, as Ansible does; raise `AnsibleActionFail` where it says too much.

    `given` is what it can read from its standard input.
    """
    with bounded(host, "its answer", most_bytes, most_s):
        # As Ansible's own actions do.
        ran: dict[str, Any] = action._low_level_execute_command(command, sudoable=sudoable, in_data=given)  # noqa: SLF001
    if len(ran["stdout"]) + len(ran["stderr"]) > most_bytes:
        raise _too_much(host, "its answer", most_bytes)
    return ran


@contextmanager
def bounded(host: str, what: str, most_bytes: int, most_s: float, arriving: Path | None = None) -> Iterator[None]:
    """End what comes from a host when it is more than `most_bytes`, here or in the file that arrives, or takes longer.

    Raises `AnsibleActionFail` naming the host then, whatever Ansible makes of the end of its program.
    """
    watch = _Watch(most_bytes, most_s, arriving)
    watch.thread.start()
    try:
        yield
    except Exception:
        if not watch.ended:
            raise
    finally:
        watch.over.set()
        watch.thread.join()
    if watch.ended == "size":
        raise _too_much(host, what, most_bytes)
    if watch.ended:
        raise AnsibleActionFail(f"{host}: {what} took longer than {most_s:.0f} s and was ended")


def _too_much(host: str, what: str, most_bytes: int) -> AnsibleActionFail:
    return AnsibleActionFail(f"{host}: {what} has more than {most_bytes:,} bytes and was ended: look at that host")


class _Watch:
    def __init__(self, most_bytes: int, most_s: float, arriving: Path | None) -> None:
        self._most_bytes = most_bytes
        self._deadline_s = time.monotonic() + most_s
        self._arriving = arriving
        self._most_here = _resident_bytes() + _COPIES * most_bytes + _ELSE_BYTES
        self.ended = ""
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self.over.wait(_LOOK_S):
            if _resident_bytes() > self._most_here or self._arrived() > self._most_bytes:
                self.ended = "size"
            elif time.monotonic() > self._deadline_s:
                self.ended = "time"
            if self.ended:
                _end_descendants()  # again and again, until the answer is over

    def _arrived(self) -> int:
        with suppress(OSError):
            return self._arriving.stat().st_size if self._arriving else 0
        return 0


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _end_descendants() -> None:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.name))
    found = list(parents.get(os.getpid(), ()))
    for pid in found:  # grows
        found += parents.get(pid, ())
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def last_object(host: str, text: str) -> dict[str, Any] | None:
    """Return the JSON object on the last line of an answer, None where there is none; raise for JSON that is none."""
    try:
        said = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        return None
    if not isinstance(said, dict):
        raise AnsibleActionFail(f"{host} answered {said!r:.{_SHOWN}}, which is no object")
    return said


def refused(host: str, verb: str, name: str, value: object) -> AnsibleActionFail:
    """Return the error for a part of an answer that is not what it has to be."""
    return AnsibleActionFail(f"{host} answered `{verb}` with {name}={value!r:.{_SHOWN}}, which cannot be")
