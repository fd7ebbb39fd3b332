"""Make one generator's share of one trial's load, at the start that the server's side sets, and bring its log home."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

# Ansible has no place from which the actions of a role could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from trial_host import HostAction, Meeting, clocks

DOCUMENTATION = r"""
module: cgidlab_generate
short_description: Make a generator's share of one trial's load
description:
  - Starts the helper for one trial, tells it when to begin, waits for its end and fetches its archive.
  - Never fails for what happens to the generator - it says so to the server's side, which makes the trial invalid.
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
    description: Number of the trial.
    type: int
    required: true
  timeout_s:
    description: How long to wait at most, for the start and then for the end.
    type: float
    required: true
  dest:
    description: Directory on the control machine in which the actions of the block's hosts meet.
    type: path
    required: true
  lost:
    description: Why this generator cannot make any load. It is only passed on.
    type: str
    default: ""
author:
  - cgidlab
"""

RETURN = r"""
generator:
  description: The generator's name.
  type: str
  returned: always
load_state:
  description: ended, dead when the helper died, lost when the host could not be reached, or refused.
  type: str
  returned: always
load_reason:
  description: Why it is not ended.
  type: str
  returned: always
"""

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "helper": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
    "dir": {"type": "path", "required": True},
    "number": {"type": "int", "required": True},
    "timeout_s": {"type": "float", "required": True},
    "dest": {"type": "path", "required": True},
    "lost": {"type": "str", "default": ""},
}


class ActionModule(HostAction):
    """Start the helper, pass the start on, wait, fetch."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        name = str((task_vars or {})["inventory_hostname"])
        meeting = Meeting(args["dest"], args["number"])
        try:
            state, reason = self._generate(args, name, meeting)
        except (AnsibleActionFail, AnsibleConnectionFailure, OSError) as err:
            state, reason = "lost", " ".join(str(err).split())
            for word in ("ready", "ended", "home"):  # whoever waits need not wait longer
                if meeting.said(f"{name}.{word}") is None:
                    meeting.say(f"{name}.{word}", {"lost": reason, "state": state, "reason": reason})
        return {"changed": False, "generator": name, "load_state": state, "load_reason": reason}

    def _generate(self, args: dict[str, Any], name: str, meeting: Meeting) -> tuple[str, str]:
        if args["lost"]:
            raise AnsibleActionFail(args["lost"])
        started = self.ask(args, "start", block=f"{args['dir']}/block.json", number=args["number"])
        if "error" in started:
            raise AnsibleActionFail(str(started["error"])[:2000])
        trips = self.ask_for_time()
        meeting.say(f"{name}.ready", {"round_trips": _plain(trips)})
        go = meeting.wait(["go"], args["timeout_s"], lambda: self.keep_alive(args)).get("go")
        if go is None:
            go = {"refused": f"the server was not ready within {args['timeout_s']:.0f} s"}
        if "refused" in go:
            self.ask(args, "stop", dir=args["dir"])
            return "refused", go["refused"]
        own = clocks.estimate(trips)
        self.tell(args, "go", {"start_ns": go["start_ns"] + own.offset_ns, "url": go["url"]})
        answer = self.await_trial(args, time.monotonic() + args["timeout_s"])
        said = {"state": answer["state"], "reason": answer.get("reason", "")}
        if answer["state"] == "dead":
            said["reason"] = "its helper died"
        meeting.say(f"{name}.ended", said)
        if answer.get("archive"):
            self.fetch(answer, meeting.directory / f"{name}.tar.gz")
        meeting.say(f"{name}.home", {**said, "round_trips": _plain(self.ask_for_time())})
        return said["state"], said["reason"]


def _plain(trips: list[clocks.RoundTrip]) -> list[list[int]]:
    return [[trip.sent_ns, trip.there_ns, trip.back_ns] for trip in trips]
