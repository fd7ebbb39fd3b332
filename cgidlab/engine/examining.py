"""Hosts examined: from a target to doctor's rows. Changes nothing on a host."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.engine import ansible, doctor, packing, targets
from cgidlab.engine.locking import beside_a_run
from cgidlab.errors import InterruptedRun, ProvisionError
from cgidlab.progress import Display

TIMEOUT_S = 300.0
_ASKED = ("host_reach", "host_survey", "host_tools", "host_doctor")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All rows of all hosts of a target, in the inventory's order."""

    target: str
    groups: dict[str, tuple[str, ...]]  # of each host
    rows: tuple[doctor.Finding, ...]

    @property
    def failed(self) -> tuple[doctor.Finding, ...]:
        """Return the rows that keep a run from being any good."""
        return tuple(row for row in self.rows if row.state is doctor.Health.FAIL)

    @property
    def exit_code(self) -> int:
        """Return the exit status of the verb: 0, or that of provisioning that would fail."""
        return ProvisionError.exit_code if self.failed else 0


def diagnose(target: str, root: Path, display: Display, cancelled: Callable[[], bool]) -> Diagnosis:
    """Examine every host of a target; a host that cannot be reached has a row that says so.

    While a run has the hosts the examination goes on beside it, and says so: a trial notices the second that it takes
    as somebody else's work. Raises `SpecError` for what is no target.
    """
    site = targets.found(target, root)
    groups = {
        host: tuple(g for g, members in (("servers", site.servers), ("generators", site.generators)) if host in members)
        for host in dict.fromkeys((*site.servers, *site.generators))
    }
    results: dict[str, dict[str, dict[str, Any]]] = {host: {} for host in groups}

    def heard(result: ansible.TaskResult) -> None:
        asked = result.action.rpartition(".")[2]
        if asked in _ASKED and not result.result.get("skipped"):
            results[result.host][asked] = dict(result.result)

    with beside_a_run(site) as busy, tempfile.TemporaryDirectory(prefix="cgidlab-doctor-") as temporary:
        if busy:
            display.say(f"{busy}; a trial may count this examination as a disturbance and be run again")
        directory = Path(temporary)
        helper = directory / "cgidhost.pyz"
        files.write_bytes(helper, packing.pack_helper(site.roles / "trial" / "files" / "cgidhost"))
        played = ansible.play(
            site.playbook("doctor"),
            site.inventory,
            {"cgidlab_helper_archive": str(helper)},
            directory / "ansible",
            timeout_s=TIMEOUT_S,
            callbacks=ansible.Callbacks(
                on_task=lambda name: display.step(f"examining: {name}"), on_result=heard, cancelled=cancelled
            ),
        )
        if played.cancelled:
            raise InterruptedRun("the examination was stopped", where=str(site.inventory))
        if not played.ok and not played.failures:
            said = (directory / "ansible" / "stdout").read_text(errors="replace")[-2000:]
            raise ProvisionError(f"the examination did not take place: {played.why}\n{said}", where=str(site.inventory))
    failures = {f.host: doctor.Failure(f.task, f.message, f.unreachable) for f in reversed(played.failures)}
    examined = (
        doctor.Examined(host, "servers" in named, results[host], failures.get(host)) for host, named in groups.items()
    )
    return Diagnosis(target, groups, tuple(row for host in examined for row in doctor.rows(host)))
