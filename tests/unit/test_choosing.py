"""What is chosen where a file does not say, and what a plan will not measure as its author may think."""

from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.design import choosing
from cgidlab.model import Plan
from tests.unit.run_directories import planned

FILE = """\
schema_version: 1
name: small
question: What does a production-shaped server do?
factors: {{{factors}}}
settings: {{{settings}}}
load: {{{load}}}
repetitions: 6
"""


def made(place: Path, factors: str, settings: str, load: str) -> Plan:
    return planned(place, FILE.format(factors=factors, settings=settings, load=load))


def drivers(plan: Plan) -> set[str]:
    return {str(cell.settings["driver"]) for cell in plan.cells}


@pytest.mark.parametrize(
    ("factors", "settings", "load", "want"),
    [
        ("listen_backlog: [5, 100]", "workers: 400, threads_per_child: 25", "clients: 200", "steady"),
        ("threads_per_child: [25, 400]", "workers: 400", "clients: 200", "steady"),
        ("listen_backlog: [5, 100]", "workers: 512, threads_per_child: 256", "clients: 400", "h2load"),
        ("listen_backlog: [5, 100]", "workers: 400, threads_per_child: 25", "clients: 20", "h2load"),
        ("listen_backlog: [5, 100]", "workers: 400, threads_per_child: 25", "loop: open, rate: 200", "h2load"),
        ("listen_backlog: [5, 100]", "workers: 400, threads_per_child: 25", "clients: 200, driver: h2load", "h2load"),
        ("listen_backlog: [5, 100]", "mpm: worker, workers: 400, threads_per_child: 25", "clients: 200", "h2load"),
        ("listen_backlog: [5, 100]", "keep_alive: false", "clients: 20", "steady"),
        ("clients: [20, 256]", "workers: '= max(clients, 64)', threads_per_child: 64", "loop: closed", "steady"),
        ("clients: [20, 64]", "workers: '= max(clients, 64)', threads_per_child: 64", "loop: closed", "h2load"),
    ],
)
def test_all_cells_get_the_driver_that_loses_no_connection_of_any(
    tmp_path: Path, factors: str, settings: str, load: str, want: str
) -> None:
    assert drivers(made(tmp_path, factors, settings, load)) == {want}


def test_a_driver_that_will_lose_trials_is_warned_of(tmp_path: Path) -> None:
    plan = made(tmp_path, "listen_backlog: [5]", "workers: 400, threads_per_child: 25", "clients: 200, driver: h2load")

    (said,) = choosing.warnings(plan)

    assert "h2load does not come back" in said
    assert "driver: steady" in said


def test_more_clients_than_workers_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = made(tmp_path, "clients: [200, 2000]", "workers: 512", "loop: closed")

    (said,) = choosing.warnings(plan)
    assert said.startswith(
        "2,000 clients on 512 workers: 1,488 always wait for one, in httpd or its TCP queue (511 places)"
    )

    assert cli.main(["validate", str(tmp_path / "small.yml")]) == 0
    assert f"note: {said}" in capsys.readouterr().out


def test_a_plan_of_the_usual_kind_has_no_notes(tmp_path: Path) -> None:
    assert choosing.warnings(made(tmp_path, "listen_backlog: [5, 100]", "workers: 512", "clients: 200")) == ()
