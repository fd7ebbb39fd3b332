"""What the actions of this role do alike: ask the helper, tell it something, fetch from it, read its host's clock.

They talk to their own host over the connection that Ansible has open. Actions of
several hosts of one block, which run at the same time, meet in a directory of the control machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any, Callable

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# The helper's own module: one file for both sides.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "files"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host" / "plugin_utils"))
from cgidhost import clocks
from host_answers import bounded, hear, last_object, refused

# One look lasts no longer than this, so that a connection that went dead is noticed.
LOOK_S = 20.0
_ALIVE_S = 5.0  # between two signs of life for a helper that would end itself without one
_ANSWER_S = 60.0  # of a verb, beside what it was told to wait for
_ARCHIVE_BYTES = 8 << 30  # as much as one may unpack to
_ARCHIVE_S = 3600.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENDED = ("complete", "invalid", "failed")
_POLL_S = 0.01  # of a file of this machine that another process of this playbook writes
ROUND_TRIPS = 7


def write_whole(path: Path, text: str) -> None:
    """Write a file that is whole or not there, whoever looks meanwhile."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o640)  # as every file of a run
    partial.replace(path)


def copied(source: str, target: Path, most_bytes: int) -> None:
    """Copy a file of this machine, no more of it than it is said to have; `AnsibleActionFail` when it cannot be had."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file, target.open("wb") as out:
            while most_bytes > 0 and (part := file.read(min(most_bytes, 1 << 20))):
                out.write(part)
                most_bytes -= len(part)
    except OSError as err:
        raise AnsibleActionFail(f"cannot copy {source}: {err.strerror}") from err


class Meeting:
    """The directory in which the actions of one trial meet: each word is a file, whole or not there."""

    def __init__(self, incoming: str, number: int) -> None:
        self.directory = Path(incoming) / f"{number:03d}"
        self.directory.mkdir(parents=True, exist_ok=True)

    def say(self, word: str, content: dict[str, Any]) -> None:
        """Write a word."""
        write_whole(self.directory / f"{word}.json", json.dumps(content))

    def said(self, word: str) -> dict[str, Any] | None:
        """Return a word, None if it was not said."""
        try:
            found: dict[str, Any] = json.loads((self.directory / f"{word}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def wait(self, words: list[str], timeout_s: float, meanwhile: Callable[[], None]) -> dict[str, dict[str, Any]]:
        """Return those of the words that were said within the time; all of them as soon as they were."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = {word: said for word in words if (said := self.said(word)) is not None}
            if len(found) == len(words) or time.monotonic() > deadline:
                return found
            meanwhile()
            time.sleep(_POLL_S)


class HostAction(ActionBase):
    """An action that works with the helper of its host."""

    _requires_connection = True
    _supports_check_mode = False
    _alive_s = 0.0
    _host = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Know which host this is; the rest is the action's."""
        self._host = str((task_vars or {}).get("inventory_hostname", "the host"))
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result

    @property
    def is_here(self) -> bool:
        """Say whether the host's files are this process's to read: a command costs 20 ms of CPU, a read 0.1 ms."""
        return self._connection.transport == "local" and (os.geteuid() == 0 or self._connection.become is None)

    def ask(self, args: dict[str, Any], verb: str, *, most_s: float = _ANSWER_S, **words: object) -> dict[str, Any]:
        """Return the answer of the helper to a verb; raise `AnsibleActionFail` when it gives none in that time."""
        command = [args["python"], args["helper"], verb]
        for name, value in words.items():
            command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        ran = hear(self, self._host, shlex.join(command), most_s=most_s + float(str(words.get("timeout", 0))))
        answer = last_object(self._host, ran["stdout"])
        if answer is None:
            said = (ran.get("stderr") or ran.get("stdout") or "").strip()
            raise AnsibleActionFail(f"{self._host}: the helper gave no answer (exit {ran['rc']}): {said[-2000:]}")
        return answer

    def await_trial(self, args: dict[str, Any], deadline: float, **words: object) -> dict[str, Any]:
        """Return the helper's news of the trial; raise `AnsibleActionFail` when there are none until the deadline."""
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise AnsibleActionFail(f"trial {args['number']} did not end within {args['timeout_s']:.0f} s")
            look_s = f"{min(left_s, LOOK_S):.1f}"
            answer = self.ask(args, "await", dir=args["dir"], number=args["number"], timeout=look_s, **words)
            if answer.get("state") != "waiting":
                if "state" not in answer:
                    raise AnsibleActionFail(f"{self._host}: the helper: {answer.get('error', answer)!s:.2000}")
                self.check_news(args, answer)
                return answer

    def check_news(self, args: dict[str, Any], answer: dict[str, Any]) -> None:
        """Raise `AnsibleActionFail`, with the host's name, for news of a trial that a helper of ours does not give."""
        archive = answer.get("archive")
        fit = {
            "number": answer.get("number") == args["number"],
            "state": answer["state"] in ("ended", "ready", "dead"),
            "reason": isinstance(answer.get("reason", ""), str),
        }
        if answer["state"] == "ready":
            fit["url"] = isinstance(answer.get("url"), str)
        if answer["state"] == "ended":
            fit["ended"] = answer.get("ended") in _ENDED
            # In the block's directory, under the trial's own number: nothing else of a host is fetched.
            fit["archive"] = archive in (None, f"{posixpath.normpath(args['dir'])}/{args['number']:03d}.tar.gz")
        if archive is not None:
            size = answer.get("bytes")
            fit["sha256"] = isinstance(answer.get("sha256"), str) and bool(_SHA256.fullmatch(answer["sha256"]))
            fit["bytes"] = type(size) is int and 0 <= size <= _ARCHIVE_BYTES
        for name, is_fit in fit.items():
            if not is_fit:
                raise refused(self._host, "await", name, answer.get(name))

    def fetch(self, answer: dict[str, Any], final: Path) -> str:
        """Bring an archive home under its name, whole and with its checksum; raise `AnsibleActionFail` otherwise."""
        partial = final.with_name(f".{final.name}.partial")
        if self.is_here:
            copied(answer["archive"], partial, answer["bytes"])
        else:
            with bounded(self._host, "its archive", answer["bytes"], _ARCHIVE_S, partial):
                self._connection.fetch_file(answer["archive"], str(partial))
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != answer["sha256"]:
            partial.unlink()
            raise AnsibleActionFail(f"{answer['archive']} arrived damaged: SHA-256 {digest}, want {answer['sha256']}")
        partial.replace(final)
        return str(final)

    def tell(self, args: dict[str, Any], word: str, content: dict[str, Any]) -> None:
        """Say a word to the running trial; raise `AnsibleActionFail` when the host does not take it."""
        path = shlex.quote(f"{args['dir']}/{args['number']:03d}.{word}")
        command = f"printf %s {shlex.quote(json.dumps(content))} > {path}.part && mv {path}.part {path}"
        ran = hear(self, self._host, command)
        if ran["rc"]:
            raise AnsibleActionFail(f"the host does not take `{word}`: {ran['stderr'].strip()[-500:]}")

    def keep_alive(self, args: dict[str, Any]) -> None:
        """Renew the helper's lease now and then, by the cheapest command there is."""
        if time.monotonic() - self._alive_s > _ALIVE_S:
            lease = args["dir"] + "/lease"
            if self.is_here:
                with contextlib.suppress(OSError):  # a block that is over
                    os.utime(lease)
            else:
                hear(self, self._host, f"touch {shlex.quote(lease)}")
            self._alive_s = time.monotonic()

    def ask_for_time(self) -> list[clocks.RoundTrip]:
        """Return some round trips to the host's clock; raise `AnsibleActionFail` where it does not tell nanoseconds."""
        trips = []
        for _ in range(ROUND_TRIPS):
            sent_ns = time.time_ns()
            ran = hear(self, self._host, "date +%s%N", sudoable=False)
            back_ns = time.time_ns()
            said = ran["stdout"].strip()
            if not said.isdigit() or len(said) != len(str(sent_ns)):
                raise AnsibleActionFail(f"{self._host}: its clock cannot be read: `date +%s%N` says {said[:80]!r}")
            trips.append(clocks.RoundTrip(sent_ns, int(said), back_ns))
        return trips
