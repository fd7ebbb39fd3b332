"""Write down how a host is: what the helper says goes to a file and not through a result, which has a largest size."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible has no place from which the actions of several roles could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from host_answers import hear, last_object

_SNAPSHOT_BYTES = 32 << 20  # a host with 10,000 processes has 2 MB
_PATHS = ("python", "helper", "work_dir", "cache_dir", "dest")


class ActionModule(ActionBase):
    """Run `cgidhost snapshot` on the host and keep its answer on the control machine."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return an unchanged result; AnsibleActionFail when the helper gave no answer or it cannot be written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                **{name: {"type": "path", "required": True} for name in _PATHS},
                "clean": {"type": "bool", "default": False},
            }
        )
        result["changed"] = False
        if self._task.check_mode:
            return result
        command = [args["python"], args["helper"], "snapshot"]
        command += ["--work-dir", args["work_dir"], "--cache-dir", args["cache_dir"]]
        command += ["--clean"] if args["clean"] else []
        host = str((task_vars or {}).get("inventory_hostname", "the host"))
        ran = hear(self, host, shlex.join(command), most_bytes=_SNAPSHOT_BYTES)
        said = last_object(host, ran["stdout"])
        if said is None:
            told = (ran.get("stderr") or ran.get("stdout") or "").strip()
            raise AnsibleActionFail(f"{host}: the helper gave no answer (exit {ran['rc']}): {told[-2000:]}")
        if "error" in said:
            raise AnsibleActionFail(str(said["error"])[:2000])
        self._write(Path(args["dest"]), json.dumps(said, indent=1) + "\n")
        return result

    @staticmethod
    def _write(dest: Path, text: str) -> None:
        temporary = dest.with_name(f".{dest.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o640)
                os.fsync(file.fileno())
            temporary.replace(dest)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise AnsibleActionFail(f"the snapshot cannot be written: {error.strerror}: {dest}") from error
