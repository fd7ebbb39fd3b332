"""Lets Ansible look twice a second for the end of a task that waits for a whole block or watches for a while.

It looks fifty times a second for the others (ansible.cfg), which is 1.6 % of a core: on the machine that is measured.
"""

from __future__ import annotations

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: cgidlab_patience
type: aggregate
short_description: Look less often for the end of a long task
description:
  - While an action of this project waits for trials or watches a server, C(internal_poll_interval) is half a second.
  - Ansible reads the interval at each look; no setting of its own depends on the task.
author:
  - cgidlab
"""

LONG = frozenset({"cgidlab_blocks", "cgidlab_generate", "cgidlab_observe"})
SELDOM_S = 0.5


class CallbackModule(CallbackBase):
    """Sets the interval as each task begins."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cgidlab_patience"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, display: object = None, options: object = None) -> None:
        super().__init__(display, options)
        self._often_s = constants.DEFAULT_INTERNAL_POLL_INTERVAL

    def v2_playbook_on_task_start(self, task: object, is_conditional: bool) -> None:  # noqa: FBT001, ARG002 -- Ansible's
        """Look seldom for a long task and often for any other."""
        name = str(getattr(task, "action", "")).rpartition(".")[2]
        constants.DEFAULT_INTERNAL_POLL_INTERVAL = SELDOM_S if name in LONG else self._often_s
