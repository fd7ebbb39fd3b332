"""Write what provisioning found to the control machine: a whole file or none, and never a change of the host."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Write `content` as JSON to `dest` on the control machine."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return an unchanged result; AnsibleActionFail when the file cannot be written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["changed"] = False
        if self._task.check_mode:
            return result
        dest = Path(str(self._task.args["dest"]))
        temporary = dest.with_name(f"{dest.name}.{os.getpid()}.tmp")
        text = json.dumps(self._task.args["content"], indent=1, sort_keys=True) + "\n"
        try:
            dest.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o640)
            temporary.replace(dest)
        except OSError as error:
            raise AnsibleActionFail(f"the record cannot be written: {error.strerror}: {dest}") from error
        return result
