"""How hosts are, and giving them back: the playbooks that take snapshots and that recover. Decides nothing."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.engine import ansible, packing
from cgidlab.engine.execute import Site
from cgidlab.parsers.host_report import HostReport

SNAPSHOT_TIMEOUT_S = 120.0
RECOVER_TIMEOUT_S = 600.0
_SAID = "Undo what is left"  # the task of roles/host/tasks/recover.yml that answers


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovering one host came to."""

    host: str
    undone: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # what could not be undone, or why the host could not be asked


@dataclass(slots=True)
class _Heard:
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def take_snapshots(site: Site, hosts: Iterable[HostReport], directory: Path, invocation: Path) -> str:
    """Write `<host>.end.json` for each host into a directory; return why that failed somewhere, "" if nowhere."""
    files.make_directory(directory)
    wanted = {
        h.host: {
            "python": h.python,
            "helper": h.helper,
            "become": h.become,
            "work_dir": h.work_dir,
            "cache_dir": h.raw["dirs"]["cache"],
        }
        for h in hosts
    }
    played = ansible.play(
        site.playbook("snapshot"),
        site.inventory,
        {
            "cgidlab_snapshot_hosts": ",".join(wanted),
            "cgidlab_snapshots": wanted,
            "cgidlab_snapshot_dir": str(directory.resolve()),
        },
        invocation,
        timeout_s=SNAPSHOT_TIMEOUT_S,
    )
    return "" if played.ok else f"{played.failures[0].host}: {played.why}" if played.failures else played.why


def recover(
    site: Site,
    hosts: Iterable[str],
    journals: Mapping[str, Mapping[str, Any]],
    directory: Path,
    on_task: Callable[[str], None],
) -> tuple[Recovered, ...]:
    """Have the helper undo what is left on hosts of the inventory, and return what that came to, host by host.

    `journals` is what the control machine wrote down of a host: `blocks`, `sysctls`, `work_dir`. No host: all
    servers of the inventory. A host that cannot be reached has a problem; nothing is raised for it.
    """
    files.make_directory(directory)
    helper = directory / "cgidhost.pyz"
    files.write_bytes(helper, packing.pack_helper(site.roles / "trial" / "files" / "cgidhost"))
    names = tuple(hosts)
    heard = _Heard()

    def hear(result: ansible.TaskResult) -> None:
        if result.task.endswith(_SAID):
            heard.answers[result.host] = _answer(str(result.result.get("stdout", "")))

    played = ansible.play(
        site.playbook("recover"),
        site.inventory,
        {
            "cgidlab_helper_archive": str(helper.resolve()),
            "cgidlab_journal": dict(journals),
            **({"cgidlab_recover_hosts": ",".join(names)} if names else {}),
        },
        directory / "ansible",
        timeout_s=RECOVER_TIMEOUT_S,
        callbacks=ansible.Callbacks(on_task=on_task, on_result=hear),
    )
    failures = {f.host: f"it is unreachable: {f.message}" if f.unreachable else f.message for f in played.failures}
    found = []
    for host in dict.fromkeys((*names, *heard.answers, *failures)):
        answer = heard.answers.get(host)
        if answer is None:
            why = failures.get(host) or played.why or "the inventory has no such host"
            found.append(Recovered(host, (), (_said_error(why),)))
        else:
            found.append(Recovered(host, tuple(answer["undone"]), tuple(answer["problems"])))
    return tuple(found)


def _answer(stdout: str) -> dict[str, list[str]]:
    try:
        said = json.loads(stdout)
        return {name: [str(text) for text in said[name]] for name in ("undone", "problems")}
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        return {"undone": [], "problems": [f"the helper gave no answer: {err!r}"]}


def _said_error(message: str) -> str:
    """Return the helper's own words where a failed command shows them as JSON."""
    for line in message.splitlines():
        try:
            return str(json.loads(line)["error"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return message
