"""Wait for one trial of a running block and bring its archive home; start its load where other machines make it.

An action plugin and not a module: a module is packed, sent and started with a
Python of its own for each call (0.3 s of CPU, on the machine that may be
measuring); this costs one command on the connection that is already there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

# Ansible has no place from which the actions of a role could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from trial_host import HostAction, Meeting, clocks

DOCUMENTATION = r"""
module: cgidlab_await
short_description: Wait for one trial and fetch what it left
description:
  - Waits until a trial of a block started by C(cgidhost start) has ended.
  - Fetches its archive, checks its SHA-256 and puts it under its name in one step.
  - Where generators are named it first agrees on a start with them and with the server, and waits for what they leave.
options:
  helper:
    description: Path of the helper on the host.
    type: path
    required: true
  python:
    description: Python on the host that runs the helper.
    type: path
    required: true
  dir:
    description: Directory of the block on the host.
    type: path
    required: true
  number:
    description: Number of the trial to wait for.
    type: int
    required: true
  timeout_s:
    description: How long to wait at most.
    type: float
    required: true
  dest:
    description: Directory on the control machine for the archive.
    type: path
    required: true
  generators:
    description: Names of the hosts that make the trial's load; empty where the server's own host does.
    type: list
    elements: str
    default: []
  load_s:
    description: How long they make it, from the agreed start on.
    type: float
    default: 0
  max_clock_offset_s:
    description: By how much any of the clocks may differ from the control machine's.
    type: float
    default: 1
author:
  - cgidlab
"""

RETURN = r"""
number:
  description: The trial's number.
  type: int
  returned: always
state:
  description: ended, or dead when the block ended without this trial.
  type: str
  returned: always
ended:
  description: complete, invalid or failed.
  type: str
  returned: when state is ended
reason:
  description: Why the trial is not complete, or why the block died.
  type: str
  returned: always
archive:
  description: Path of the archive on the control machine; null when the host could not pack one.
  type: str
  returned: when state is ended
load:
  description: Directory on the control machine with what the generators left and C(clocks.json); null without any.
  type: str
  returned: when state is ended
"""

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "helper": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
    "dir": {"type": "path", "required": True},
    "number": {"type": "int", "required": True},
    "timeout_s": {"type": "float", "required": True},
    "dest": {"type": "path", "required": True},
    "generators": {"type": "list", "elements": "str", "default": []},
    "load_s": {"type": "float", "default": 0},
    "max_clock_offset_s": {"type": "float", "default": 1},
}
_READY_S = 60.0  # for a generator, once the server is
_LATE_S = 30.0  # for the news that its load has ended
_HOME_S = 300.0  # for its log


class ActionModule(HostAction):
    """Long-poll the helper, then fetch."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN; raise `AnsibleActionFail` when the time is up."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        deadline = time.monotonic() + args["timeout_s"]
        lead = _Lead(self, args, str((task_vars or {})["inventory_hostname"])) if args["generators"] else None
        answer = lead.start(deadline) if lead else None
        if answer is None or answer["state"] == "ready":
            answer = self.await_trial(args, deadline)
        result = {
            "changed": False,
            "reason": "",
            **{k: answer[k] for k in ("number", "state", "ended", "reason") if k in answer},
        }
        if answer["state"] == "ended":
            # A host whose disk stays full has nothing to send; `reason` says so.
            archive = answer["archive"]
            result["archive"] = self.fetch(answer, Path(args["dest"]) / Path(archive).name) if archive else None
            result["load"] = lead.finish() if lead else None
        return result


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
