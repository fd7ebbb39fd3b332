"""The control machine's half of host_survey: names the trial helper by its content before the host is asked for it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.:\[\]-]{1,100}")


class ActionModule(ActionBase):
    """Replace helper_archive, a path here, by the hash of its content, and run the module on the host."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns; AnsibleActionFail when the archive cannot be read."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        name = str((task_vars or {}).get("inventory_hostname", ""))
        if not _NAME.fullmatch(name):  # files on the control machine are called so
            raise AnsibleActionFail(
                f"{name!r:.80} is not fit for a file's name: give the host another in the inventory"
            )
        if "helper_archive" not in args:  # a play that runs no trial needs no helper
            result.update(self._execute_module(module_name="host_survey", module_args=args, task_vars=task_vars))
            return result
        archive = Path(str(args.pop("helper_archive")))
        try:
            args["helper_sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"the trial helper cannot be read: {error.strerror}: {archive}") from error
        result.update(self._execute_module(module_name="host_survey", module_args=args, task_vars=task_vars))
        return result
