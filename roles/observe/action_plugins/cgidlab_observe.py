"""Have the helper watch a host, and bring home what it saw.

An action plugin and not a module: a module would be packed, sent and started
anew for every look, on a host that is in production.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

# Ansible has no place from which the actions of several roles could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host" / "plugin_utils"))
from host_answers import hear, refused

DOCUMENTATION = r"""
module: cgidlab_observe
short_description: Watch the httpd instances of a host
description:
  - Copies the helper into a temporary directory of the host, starts it in the background, and waits.
  - Fetches its results and removes the directory.
options:
  helper:
    description: Path of the packed helper on the control machine.
    type: path
    required: true
  order:
    description: What to observe, as the helper reads it.
    type: dict
    required: true
  dest:
    description: Directory on the control machine for the results.
    type: path
    required: true
  stop_file:
    description: File on the control machine; when it is there, the observation ends with what it has.
    type: path
    required: true
  live_file:
    description: File on the control machine that holds what was seen last.
    type: path
    required: true
  poll_s:
    description: Seconds between looks at the host.
    type: float
    required: true
  python:
    description: Python on the host; auto looks for one.
    type: str
    required: true
author:
  - cgidlab
"""

RETURN = r"""
observation:
  description: Path of observation.json on the control machine; the archives are beside it.
  type: str
  returned: success
"""

_PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)), "/usr/libexec/platform-python")
_PIECE_MB = 2
_MOST_MB = 512  # of one file
_TRIES_S = 40.0  # how long a connection may be away
_GRACE_S = 60.0  # for packing the results
_LOCAL_LOOK_S = 0.2  # at the stop file
_AWAY = "away"  # said for a host that does not answer


class ActionModule(ActionBase):
    """Start, wait, fetch, remove."""

    _requires_connection = True
    _supports_check_mode = True
    _host = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN; raise `AnsibleActionFail` with the reason."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "helper": {"type": "path", "required": True},
                "order": {"type": "dict", "required": True},
                "dest": {"type": "path", "required": True},
                "stop_file": {"type": "path", "required": True},
                "live_file": {"type": "path", "required": True},
                "poll_s": {"type": "float", "required": True},
                "python": {"type": "str", "required": True},
            }
        )
        self._host = str((task_vars or {}).get("inventory_hostname", "the host"))
        python = self._python(args["python"])
        directory = self._make_tmp_path().rstrip("/")
        try:
            pid = self._start(args, python, directory)
            self._wait(args, directory, pid)
            return {"changed": False, "observation": self._fetch_all(directory, Path(args["dest"]))}
        finally:
            hear(self, self._host, shlex.join(["rm", "-rf", directory]))

    def _python(self, given: str) -> str:
        """Return a Python of the host that is new enough."""
        names = _PYTHONS if given.startswith("auto") else (given, *_PYTHONS)
        test = "import sys; sys.exit(sys.version_info < (3, 9))"
        looks = " ".join(shlex.quote(name) for name in names)
        one = f'p=$(command -v "$p") && "$p" -I -c {shlex.quote(test)} && echo "$p" && exit 0'
        script = f"for p in {looks}; do {one}; done; exit 1"
        ran = hear(self, self._host, script)
        if ran["rc"] != 0:
            raise AnsibleActionFail("there is no Python 3.9 or newer on the host, which the helper needs" + _said(ran))
        return str(ran["stdout"].strip().splitlines()[-1])

    def _start(self, args: dict[str, Any], python: str, directory: str) -> int:
        helper = f"{directory}/observe.pyz"
        self._transfer_file(args["helper"], helper)
        # -I -B: nothing of the user's environment, and no bytecode left anywhere.
        words = [python, "-I", "-B", helper, "observe", "--order", json.dumps(args["order"]), "--dir", directory]
        ran = hear(self, self._host, shlex.join(words))
        try:
            return int(json.loads(ran["stdout"].strip().splitlines()[-1])["pid"])
        except (ValueError, IndexError, KeyError, TypeError, RecursionError) as err:
            raise AnsibleActionFail(f"the helper did not start (exit {ran['rc']}){_said(ran)}") from err

    def _wait(self, args: dict[str, Any], directory: str, pid: int) -> None:
        """Return when the results are there, renewing the helper's lease meanwhile."""
        order = args["order"]
        # Whether it runs is asked first: it may write its result and end between two questions.
        look = (
            f"kill -0 {pid} 2>/dev/null; runs=$?; "
            f"cd {shlex.quote(directory)} && touch lease && cat live.json 2>/dev/null; echo; "
            "if [ -e observation.json ]; then echo done; "
            "elif [ -e failed.json ]; then cat failed.json; echo; echo failed; "
            "elif [ $runs = 0 ]; then echo running; else tail -n 1 observe.log 2>/dev/null; echo; echo gone; fi"
        )
        begun_s = heard_s = time.monotonic()
        stopped = False
        while True:
            lines = self._ask(look)
            state = lines[-1].strip()
            if state != _AWAY:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _TRIES_S:
                raise AnsibleActionFail(f"the host has said nothing for {_TRIES_S:.0f} s")
            if state == "done":
                return
            if state in ("failed", "gone"):
                raise AnsibleActionFail(
                    f"the helper ended before its time: {' '.join(lines[-2:-1]) or 'without a word'}"
                )
            if len(lines) > 1:
                _replace(Path(args["live_file"]), lines[0])
            left_s = args["poll_s"]
            if order["duration_s"] is not None:
                end_s = begun_s + order["duration_s"] + (order["around_s"] if order["until_full"] else 0)
                if time.monotonic() > end_s + _GRACE_S:
                    raise AnsibleActionFail(f"the helper did not end within {_GRACE_S:.0f} s after its time")
                left_s = max(0.3, min(left_s, end_s + 0.3 - time.monotonic()))
            if self._pause(left_s, Path(args["stop_file"])) and not stopped:
                hear(self, self._host, f"touch {shlex.quote(directory)}/stop")
                stopped = True

    def _ask(self, look: str) -> list[str]:
        """Return what the host says, one word where its connection is away."""
        try:
            return str(hear(self, self._host, look)["stdout"]).strip().splitlines() or [_AWAY]
        except AnsibleConnectionFailure:
            return [_AWAY]

    @staticmethod
    def _pause(seconds: float, stop_file: Path) -> bool:
        """Wait, but no longer than until somebody asks to stop; return whether that is so."""
        end_s = time.monotonic() + seconds
        known = stop_file.exists()
        while (left_s := end_s - time.monotonic()) > 0:
            if not known and stop_file.exists():
                return True
            time.sleep(min(_LOCAL_LOOK_S, left_s) if not known else min(1.0, left_s))
        return stop_file.exists()

    def _fetch_all(self, directory: str, dest: Path) -> str:
        dest.mkdir(mode=0o750, parents=True, exist_ok=True)
        observation = self._fetch(f"{directory}/observation.json")
        for archive, sha256 in self._archives(observation, directory):
            data = self._fetch(archive)
            if hashlib.sha256(data).hexdigest() != sha256:
                raise AnsibleActionFail(f"{self._host}: {archive} arrived damaged")
            (dest / Path(archive).name).write_bytes(data)
        (dest / "observation.json").write_bytes(observation)
        return str(dest / "observation.json")

    def _archives(self, observation: bytes, directory: str) -> list[tuple[str, object]]:
        """Return path and checksum of each archive that a host names; raise `AnsibleActionFail` for what is none."""
        try:
            named = [(target["archive"], target["sha256"]) for target in json.loads(observation)["targets"]]
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise AnsibleActionFail(f"{self._host} sent an observation that is none: {err!r:.200}") from err
        for archive, _ in named:
            if not isinstance(archive, str) or Path(archive).parent != Path(directory) or not archive.isprintable():
                raise refused(self._host, "observe", "archive", archive)
        return named

    def _fetch(self, path: str) -> bytes:
        """Return a file of the host, read with the rights that the helper had: fetch_file has the user's alone."""
        parts: list[bytes] = []
        while True:
            where = f"if={shlex.quote(path)} bs=1048576 skip={len(parts) * _PIECE_MB} count={_PIECE_MB}"
            ran = hear(self, self._host, f"dd {where} 2>/dev/null | base64")
            if ran["rc"] != 0:
                raise AnsibleActionFail(f"{path} cannot be fetched{_said(ran)}")
            try:
                parts.append(base64.b64decode(ran["stdout"]))
            except ValueError as err:
                raise AnsibleActionFail(f"{self._host}: {path} arrived as no base64: {err}") from err
            if len(parts[-1]) < _PIECE_MB << 20:
                return b"".join(parts)
            if len(parts) * _PIECE_MB > _MOST_MB or len(parts[-1]) > _PIECE_MB << 20:
                raise AnsibleActionFail(f"{self._host}: {path} has more than {_MOST_MB} MB: look at that host")


def _said(ran: dict[str, Any]) -> str:
    words = str(ran.get("stderr") or ran.get("stdout") or "").strip()
    return f": {words[-2000:]}" if words else ""


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o640)
    partial.replace(path)
