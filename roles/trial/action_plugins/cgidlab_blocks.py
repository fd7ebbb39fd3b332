"""Run block after block as they are ordered: hand each to the helper, bring its trials home, clean up after it.

An action plugin and not a module: a module is packed, sent and started with a
Python of its own for each call (0.3 s of CPU, on the machine that may be
measuring); this costs one command on the connection that is already there. One
call for all trials: a worker that Ansible forks for each item of a loop costs 0.6 s of CPU. And one for all
blocks: to begin and to end a call of Ansible takes four seconds, in which nothing is measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

# Ansible has no place from which the actions of a role could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from trial_host import LOOK_S, HostAction, Meeting, clocks, hear, write_whole

DOCUMENTATION = r"""
module: cgidlab_blocks
short_description: Run the blocks that the control machine orders
description:
  - Waits for C(001.order.json), C(002.order.json) and so on, takes each away and runs the block that it orders.
  - Whoever gives orders holds a lock on the file C(lock) beside them; when nobody does, there will be none.
  - Hands a block to C(cgidhost start), waits until each of its trials has ended, one after the other, and cleans up.
  - Fetches the archive of each, checks its SHA-256 and puts it under its name in one step.
  - Says so at once in a file C(NNN.arrival.json) beside it, which is whole or not there.
  - Goes on with the others where one does not come home, and fails once their block is over.
  - Says in a file C(over.json) there that a block is over; one that went wrong ends the action instead.
  - Where generators are named it first agrees on a start with them and with the server, and waits for what they leave.
  - >-
    An order has C(file), the block on the control machine; C(dir), its directory on the host; C(dest), the directory on
    the control machine for what comes home; and C(trials), in their order. One without a file is the last.
  - >-
    Of a trial it has C(number); C(timeout_s), how long to wait at most; C(expected_s), before which the host is not
    asked; and where other machines make its load C(generators), their names; C(load_s), how long they make it from the
    agreed start on; and C(max_clock_offset_s), by how much any clock may differ from the control machine's.
options:
  helper:
    description: Path of the helper on the host.
    type: path
    required: true
  python:
    description: Python on the host that runs the helper.
    type: path
    required: true
  template:
    description: What makes of a block what the helper reads.
    type: path
    required: true
  orders:
    description: Directory on the control machine for orders.
    type: path
    required: true
author:
  - cgidlab
"""

RETURN = r"""
blocks:
  description: >-
    How many blocks were run. The arrival of a trial has C(number); C(host); C(state), which is ended, or
    dead when the block ended without this trial; C(ended), which is complete, invalid or failed; C(reason);
    C(archive), null when the host could not pack one; and C(load), the directory with what the generators left and
    C(clocks.json), null without any.
  type: int
  returned: always
"""

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "helper": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
    "template": {"type": "path", "required": True},
    "orders": {"type": "path", "required": True},
}
_ORDER_LOOK_S = 0.02  # between looks for the next order, while nothing is measured:
_SOON_S = 2.0  # after that long other servers may be, and this one waits for them
_SELDOM_S = 0.5
_HOST_S = 120.0  # for the helper's start and end; by then it has said itself what keeps it
# Between two looks at a trial that should be over: server, archive and a busy host take their time.
_LOOKS_S = (0.1, 0.1, 0.2, 0.3, 0.5, 0.8)
_LIST_CHARACTERS = 4 << 20
_ORPHANED_S = 1.0  # after which a worker notices that it is alone
_READY_S = 60.0  # for a generator, once the server is
_LATE_S = 30.0  # for the news that its load has ended
_HOME_S = 300.0  # for its log


class ActionModule(HostAction):
    """Take an order, hand its block over, wait until a trial should be over, look, fetch, and say that it is here."""

    def __init__(self, *args: Any, **words: Any) -> None:  # noqa: ANN401 -- Ansible's, handed on
        super().__init__(*args, **words)
        self._ended: dict[int, dict[str, Any]] = {}
        self._parent = os.getppid()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN; `failed` or `unreachable` where a block was not run or not whole."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        for done in itertools.count():
            order = self._next(Path(args["orders"]) / f"{done + 1:03d}.order.json")
            wrong = self._block({**args, **order}, task_vars or {}) if "file" in order else {}
            if wrong or "file" not in order:
                break
        return {"changed": False, "blocks": done, **wrong}

    def _next(self, path: Path) -> dict[str, Any]:
        """Wait for an order and take it, for as long as there is somebody who may give one."""
        since_s = time.monotonic()
        while not path.exists():
            waited_s = time.monotonic() - since_s
            if waited_s > _SOON_S and not _is_held(path.parent / "lock"):
                raise AnsibleActionFail("nobody gives orders any more")
            self._sleep(_ORDER_LOOK_S if waited_s < _SOON_S else _SELDOM_S)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        return found

    def _block(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run a block and say that it is over; return what Ansible is to hear of one that went wrong."""
        server = str(task_vars["inventory_hostname"])
        trouble = _Trouble()
        self._ended.clear()
        with trouble:
            self._hand_over(args, task_vars)
        if trouble.said:
            return trouble.told()
        for trial in args["trials"]:
            with trouble:
                arrival = self._one({**args, **trial}, server)
                write_whole(Path(args["dest"]) / f"{trial['number']:03d}.arrival.json", json.dumps(arrival))
        if not trouble.said:
            with trouble:
                self._obeyed(self.ask(args, "cleanup", most_s=_HOST_S, dir=args["dir"]))
                write_whole(Path(args["dest"]) / "over.json", "{}")
        return trouble.told()

    def _hand_over(self, args: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Give the host a block and start it; raise `AnsibleActionFail` where it does not take it."""
        lookup = self._shared_loader_obj.lookup_loader.get(
            "ansible.builtin.template", loader=self._loader, templar=self._templar
        )
        (text,) = lookup.run([args["template"]], {**task_vars, "cgidlab_block_file": args["file"]})
        own = shlex.quote(args["dir"])
        # The server's own user passes through to its trial and sees nothing else.
        made = f"mkdir -p {own} && chmod 0711 {own} && umask 077 && cat > {own}/block.json.part"
        self._check_parent()
        ran = hear(self, self._host, f"{made} && mv {own}/block.json.part {own}/block.json", given=text.encode())
        if ran["rc"]:
            raise AnsibleActionFail(f"{self._host} does not take the block: {ran['stderr'].strip()[-2000:]}")
        self._check_parent()
        self._obeyed(self.ask(args, "start", most_s=_HOST_S, block=f"{args['dir']}/block.json"))

    def _obeyed(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            raise AnsibleActionFail(f"{self._host}: the helper: {answer['error']!s:.2000}")

    def _one(self, args: dict[str, Any], server: str) -> dict[str, Any]:
        """Return the arrival of one trial; raise `AnsibleActionFail` when its time is up."""
        deadline = time.monotonic() + args["timeout_s"]
        lead = _Lead(self, args, server) if args.get("generators") else None
        answer = lead.start(deadline) if lead else self._once_over(args)
        if answer is None or answer["state"] == "ready":
            answer = self.await_trial(args, deadline)
        arrival = {
            "host": server,
            "reason": "",
            **{k: answer[k] for k in ("number", "state", "ended", "reason") if k in answer},
        }
        if answer["state"] == "ended":
            # A host whose disk stays full has nothing to send; `reason` says so.
            archive = answer["archive"]
            arrival["archive"] = self.fetch(answer, Path(args["dest"]) / Path(archive).name) if archive else None
            arrival["load"] = lead.finish() if lead else None
        return arrival

    def _once_over(self, args: dict[str, Any]) -> dict[str, Any] | None:
        """Return the host's news of a trial that ended when it should have; None: the helper has to be asked.

        The helper's own list is looked at by the cheapest command there is, a few times at most: while a trial is
        measured, nothing of ours runs on its host.
        """
        number: int = args["number"]
        over = time.monotonic() + args["expected_s"]
        while number not in self._ended and (left_s := over - time.monotonic()) > 0:
            self._sleep(min(left_s, LOOK_S))
            self.keep_alive(args)
        for pause_s in _LOOKS_S:
            if number in self._ended:
                news = {"state": "ended", **self._ended[number]}
                self.check_news(args, news)
                return news
            time.sleep(pause_s)
            self._look(args["dir"])
        return None

    def _sleep(self, seconds: float) -> None:
        """Wait; raise `AnsibleActionFail` when ansible-playbook is gone, which does not end its workers."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, _ORPHANED_S))
            self._check_parent()

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            raise AnsibleActionFail("ansible-playbook was killed")

    def _look(self, directory: str) -> None:
        """Read the helper's list of the trials that have ended; it may be ahead of those that came home."""
        for line in self._list(directory + "/trials.jsonl").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):  # a line that is being written
                entry = json.loads(line)
                self._ended[entry["number"]] = entry

    def _list(self, path: str) -> str:
        if not self.is_here:
            return str(hear(self, self._host, f"cat {shlex.quote(path)} 2>/dev/null")["stdout"])
        with contextlib.suppress(OSError, UnicodeDecodeError), Path(path).open(encoding="utf-8") as file:
            return file.read(_LIST_CHARACTERS)
        return ""


def _is_held(path: Path) -> bool:
    """Say whether somebody lives who holds a lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class _Trouble(contextlib.AbstractContextManager["_Trouble"]):
    """What went wrong with a block: everything, since its other trials go on."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._unreachable = False

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        """Note what Ansible's own errors say; leave all others alone."""
        if not isinstance(error, (AnsibleActionFail, AnsibleConnectionFailure)):
            return False
        self._unreachable = self._unreachable or isinstance(error, AnsibleConnectionFailure)
        self.said.append(str(error))
        return True

    def told(self) -> dict[str, Any]:
        """Return it as part of a result, each thing once; nothing where nothing went wrong."""
        if not self.said:
            return {}
        return {"unreachable" if self._unreachable else "failed": True, "msg": "\n".join(dict.fromkeys(self.said))}


class _Lead:
    """The server's side of a load that several machines make: sets the start, and says when all of it has ended."""

    def __init__(self, action: HostAction, args: dict[str, Any], server: str) -> None:
        self._action = action
        self._args = args
        self._server = server
        self._names: list[str] = args["generators"]
        self._meeting = Meeting(args["dest"], args["number"])
        self._clocks: dict[str, list[clocks.RoundTrip]] = {}
        self._after: list[clocks.RoundTrip] = []
        self._start_ns: int | None = None
        self._ended: list[str] = []

    def start(self, deadline: float) -> dict[str, Any]:
        """Return the helper's news of the trial: `ready` once its load has run, or why it never did."""
        self._clocks[self._server] = self._action.ask_for_time()
        answer = self._action.await_trial(self._args, deadline, ready=True)
        if answer["state"] != "ready":
            self._meeting.say("go", {"refused": "the server's trial ended before its load"})
            return answer
        refused = self._refused()
        if refused:
            self._meeting.say("go", {"refused": refused})
            self._action.tell(self._args, "go", {"refused": refused, "kind": "infra"})
            return answer
        # Where another moment could be agreed on, all machines have been told in time: each of them proves it.
        lead_ns = clocks.lead_ns(trip for trips in self._clocks.values() for trip in trips)
        self._start_ns = time.time_ns() + lead_ns
        self._meeting.say("go", {"start_ns": self._start_ns, "url": answer["url"]})
        own = clocks.estimate(self._clocks[self._server])
        self._action.tell(self._args, "go", {"start_ns": self._start_ns + own.offset_ns})
        left_s = (self._start_ns - time.time_ns()) / 1e9 + self._args["load_s"] + _LATE_S
        self._ended = list(self._wait("ended", self._names, left_s))
        self._action.tell(self._args, "done", {})
        self._after = self._action.ask_for_time()
        return answer

    def _refused(self) -> str:
        """Return why the load cannot start, or ''; know every clock afterwards."""
        for name, word in self._wait("ready", self._names, _READY_S).items():
            if "lost" in word:
                return f"the generator {name} is lost: {word['lost']}"
            self._clocks[name] = [clocks.RoundTrip(*trip) for trip in word["round_trips"]]
        for name in self._names:
            if name not in self._clocks:
                return f"the generator {name} was not ready within {_READY_S:.0f} s"
        bound_s = self._args["max_clock_offset_s"]
        said = (clocks.too_far(name, clocks.estimate(trips), bound_s) for name, trips in self._clocks.items())
        return next(filter(None, said), "")

    def _wait(self, word: str, names: list[str], timeout_s: float) -> dict[str, dict[str, Any]]:
        words = [f"{name}.{word}" for name in names]
        found = self._meeting.wait(words, timeout_s, lambda: self._action.keep_alive(self._args))
        return {name: found[f"{name}.{word}"] for name in names if f"{name}.{word}" in found}

    def finish(self) -> str:
        """Wait for what the generators left and write `clocks.json` beside it; return the directory."""
        # Whoever did not even say that its load has ended has nothing to bring home.
        home = self._wait("home", self._ended, _HOME_S)
        hosts = {self._server: self._host("server", self._after)}
        for name in self._names:
            after = [clocks.RoundTrip(*trip) for trip in home.get(name, {}).get("round_trips", [])]
            hosts[name] = {
                **self._host("generator", after, name),
                "state": home.get(name, {}).get("state", "lost" if self._start_ns else "not started"),
                "reason": home.get(name, {}).get("reason", "nothing came home" if self._start_ns else ""),
            }
        self._meeting.say("clocks", {"schema_version": 1, "start_ns": self._start_ns, "hosts": hosts})
        return str(self._meeting.directory)

    def _host(self, role: str, after: list[clocks.RoundTrip], name: str = "") -> dict[str, Any]:
        name = name or self._server
        before = self._clocks.get(name, [])
        if not before:
            unknown = dict.fromkeys(("offset_ns", "uncertainty_ns", "before", "after"))
            return {"role": role, "trouble": "it was not read", **unknown}
        first = clocks.estimate(before)
        last = clocks.estimate(after) if after else None
        held = clocks.over(first, last)
        return {
            "role": role,
            "offset_ns": held.offset_ns,
            "uncertainty_ns": held.uncertainty_ns,
            "trouble": clocks.moved(name, first, last),
            "before": _offset(before),
            "after": _offset(after),
        }


def _offset(trips: list[clocks.RoundTrip]) -> dict[str, int] | None:
    if not trips:
        return None
    found = clocks.estimate(trips)
    return {
        "offset_ns": found.offset_ns,
        "uncertainty_ns": found.uncertainty_ns,
        "round_trips": len(trips),
        "slowest_ns": max(trip.delay_ns for trip in trips),
    }
