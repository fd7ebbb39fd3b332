"""The control machine's half of host_survey: names the trial helper by its content before the host is asked for it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is wanted of a host: the runner's variables and those of the roles that provision it ...
_ASKED = ("cgidlab_", "host_", "build_", "cgid_", "scripts_", "load_", "instruments_")
_ASKED_OF_ANSIBLE = ("ansible_become", "ansible_connection", "ansible_python_interpreter", "ansible_user")
# ... but for where one run keeps its files, and what it asked the user.
_OF_ONE_RUN = {
    *("cgidlab_helper_archive", "cgidlab_provision_dir", "cgidlab_snapshot_dir", "host_helper_archive"),
    *("cgidlab_become_asked", "cgidlab_configurations_file", "cgidlab_own_dir"),
}
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
        code = args.pop("code_sha256", "")
        if "helper_archive" not in args:  # a play that runs no trial needs no helper
            result.update(self._execute_module(module_name="host_survey", module_args=args, task_vars=task_vars))
            return result
        archive = Path(str(args.pop("helper_archive")))
        try:
            args["helper_sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"the trial helper cannot be read: {error.strerror}: {archive}") from error
        if code:
            args["receipt_key"] = _receipt_key(code, args["helper_sha256"], task_vars or {})
        result.update(self._execute_module(module_name="host_survey", module_args=args, task_vars=task_vars))
        return result


def _receipt_key(code: str, helper: str, variables: Mapping[str, Any]) -> str:
    """Return a key that is the same exactly when the same is asked for: by the run, the inventory and the roles."""
    asked = {
        name: value
        for name, value in variables.items()
        if name in _ASKED_OF_ANSIBLE or (name.startswith(_ASKED) and name not in _OF_ONE_RUN)
    }
    whole = [code, helper, json.dumps(asked, sort_keys=True, default=str)]
    return hashlib.sha256("\0".join(whole).encode()).hexdigest()
