"""Time round trips to a host and compare its clock with ours: needs no Python there, and so can say that none is."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible has no place from which the actions of several roles could share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))
from host_answers import hear

DOCUMENTATION = r"""
module: host_reach
short_description: Time round trips to a host and compare its clock with the control machine's
description:
  - Runs C(date) on the connection that all tasks use. The clock is compared on the quickest of the tries, so that its
    bound is half of the shortest round trip.
options:
  tries:
    description: How many round trips to time, after the one that opens the connection.
    type: int
    default: 9
author:
  - cgidlab
"""

RETURN = r"""
first_s:
  description: How long the first command took; it may have opened the connection.
  type: float
  returned: always
round_trip_s:
  description: Median of the others.
  type: float
  returned: always
clock_offset_s:
  description: The host's CLOCK_REALTIME minus the control machine's.
  type: float
  returned: always
clock_bound_s:
  description: How far from the truth C(clock_offset_s) can be.
  type: float
  returned: always
"""


class ActionModule(ActionBase):
    """Ask the host for its time, again and again."""

    _requires_connection = True
    _supports_check_mode = True
    _host = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result described in RETURN; AnsibleActionFail when the host's answer is no time."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec={"tries": {"type": "int", "default": 9}})
        self._host = str((task_vars or {}).get("inventory_hostname", "the host"))
        first_s = self._ask()[0]
        asked = [self._ask() for _ in range(args["tries"])]
        quickest_s, offset_s = min(asked)
        return {
            "changed": False,
            "first_s": first_s,
            "round_trip_s": statistics.median(took_s for took_s, _ in asked),
            "clock_offset_s": offset_s,
            "clock_bound_s": quickest_s / 2,
        }

    def _ask(self) -> tuple[float, float]:
        """Return how long one command took, and how far the host's clock was then from the middle of that time."""
        sent_s, began_s = time.time(), time.monotonic()
        ran = hear(self, self._host, "date +%s.%N")
        took_s = time.monotonic() - began_s
        try:
            return took_s, float(ran["stdout"].split()[-1]) - (sent_s + took_s / 2)
        except (ValueError, IndexError) as error:
            said = (ran.get("stderr") or ran.get("stdout") or "").strip()
            raise AnsibleActionFail(f"date gave no time (exit {ran['rc']}): {said[-500:]}") from error
