"""The control machine's half of host_doctor: brings the trial helper along to probe the host, then takes it away."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible has no place from which the actions of several roles could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from host_answers import hear, last_object


class ActionModule(ActionBase):
    """Run the module, then `cgidhost probe` from the host's temporary directory."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns, with the helper's answers as `probe`, or `probe_error`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        archive = str(args.pop("helper_archive"))
        result.update(self._execute_module(module_name="host_doctor", module_args=args, task_vars=task_vars))
        if result.get("failed"):
            return result
        remote = self._connection._shell.join_path(self._make_tmp_path(), "cgidhost.pyz")  # noqa: SLF001 -- as Ansible's own actions do
        try:
            self._transfer_file(archive, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))  # noqa: SLF001 -- same
            host = str((task_vars or {}).get("inventory_hostname", "the host"))
            ran = hear(self, host, shlex.join([result["python"], remote, "probe"]))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001 -- same
        result["probe"] = last_object(host, ran["stdout"])
        if result["probe"] is None:
            del result["probe"]
            result["probe_error"] = (ran.get("stderr") or ran.get("stdout") or "no answer").strip()[-1000:]
        return result
