"""Wait for one trial of a running block and bring its archive home.

An action plugin and not a module: a module is packed, sent and started with a
Python of its own for each call (0.3 s of CPU, on the machine that may be
measuring); this costs one command on the connection that is already there.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
module: cgidlab_await
short_description: Wait for one trial and fetch what it left
description:
  - Waits until a trial of a block started by C(cgidhost start) has ended.
  - Fetches its archive, checks its SHA-256 and puts it under its name in one step.
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
"""

# One look lasts no longer than this, so that a connection that went dead is noticed.
_LOOK_S = 20.0


class ActionModule(ActionBase):
    """Long-poll the helper, then fetch."""

    _requires_connection = True
    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN; raise `AnsibleActionFail` when the time is up."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "helper": {"type": "path", "required": True},
                "python": {"type": "path", "required": True},
                "dir": {"type": "path", "required": True},
                "number": {"type": "int", "required": True},
                "timeout_s": {"type": "float", "required": True},
                "dest": {"type": "path", "required": True},
            }
        )
        deadline = time.monotonic() + args["timeout_s"]
        answer: dict[str, Any] = {"state": "waiting"}
        while answer["state"] == "waiting":
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise AnsibleActionFail(f"trial {args['number']} did not end within {args['timeout_s']:.0f} s")
            answer = self._look(args, min(left_s, _LOOK_S))
        result = {
            "changed": False,
            "reason": "",
            **{k: answer[k] for k in ("number", "state", "ended", "reason") if k in answer},
        }
        if answer["state"] == "ended":
            # A host whose disk stays full has nothing to send; `reason` says so.
            result["archive"] = self._fetch(answer, Path(args["dest"])) if answer["archive"] else None
        return result

    def _look(self, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        command = [args["python"], args["helper"], "await", "--dir", args["dir"]]
        command += ["--number", str(args["number"]), "--timeout", f"{timeout_s:.1f}"]
        ran = self._low_level_execute_command(shlex.join(command))
        try:
            answer: dict[str, Any] = json.loads(ran["stdout"].strip().splitlines()[-1])
        except (ValueError, IndexError) as err:
            said = (ran.get("stderr") or ran.get("stdout") or "").strip()
            raise AnsibleActionFail(f"the helper gave no answer (exit {ran['rc']}): {said[-2000:]}") from err
        return answer

    def _fetch(self, answer: dict[str, Any], dest: Path) -> str:
        final = dest / Path(answer["archive"]).name
        partial = final.with_name(f".{final.name}.partial")
        self._connection.fetch_file(answer["archive"], str(partial))
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
        if digest != answer["sha256"]:
            partial.unlink()
            raise AnsibleActionFail(f"{answer['archive']} arrived damaged: SHA-256 {digest}, want {answer['sha256']}")
        partial.replace(final)
        return str(final)
