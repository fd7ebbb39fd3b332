"""Which faults an experiment may have, how often they come, and what is refused before anything runs."""

from itertools import pairwise
from pathlib import Path

import pytest
from cgidhost import blockfile, sut

from cgidlab.design import catalogue, faults, plan, spec, strict_yaml
from cgidlab.engine import execute
from cgidlab.errors import SpecError
from cgidlab.model import LimitTrials, Plan, Scalar
from tests.unit.test_cgidhost_orders import block, trial_entry
from tests.unit.test_execute import HOST

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
FILE = """\
schema_version: 1
name: reload
question: What does a reload cost?
factors:
  listen_backlog: [100, 1024]
  fault: [none, graceful]
"""


def made(more: str = "", text: str = FILE) -> Plan:
    return plan.make(spec.build(strict_yaml.parse((text + more).encode(), "f.yml"), CATALOGUE), CATALOGUE)


def test_both_halves_know_the_same_faults_of_each_system() -> None:
    assert {name: set(system.faults) for name, system in sut.SYSTEMS.items()} == {
        name: set(names) for name, names in faults.FAULTS.items()
    }
    assert set(CATALOGUE.options["fault"].choices) == {faults.NONE, *blockfile.ACTIONS}


@pytest.mark.parametrize(
    ("at_s", "every_s", "window_s", "want"),
    [(0.2, 1.8, 3.8, 2), (2.0, 0.0, 10.0, 1), (0.0, 1.0, 3.999, 3), (0.1, 0.7, 7.1, 10), (0.5, 3.0, 4.0, 1)],
)
def test_both_halves_count_a_fault_alike_and_each_has_all_of_its_time_in_the_window(
    at_s: float, every_s: float, window_s: float, want: int
) -> None:
    settings: dict[str, Scalar] = {
        "fault": "graceful", "fault_at_s": at_s, "fault_for_s": 9.0, "fault_every_s": every_s, "window_s": window_s
    }  # fmt: skip
    mine = faults.fault_of(settings)
    assert mine is not None
    moments = blockfile.Fault(mine.action, mine.at_s, mine.for_s, mine.every_s).moments(window_s)

    assert mine.count(window_s) == len(moments) == want
    assert all(end <= following for (_, end), (following, _) in pairwise(moments))
    assert moments[-1][1] <= round(window_s * 1e9)


def test_what_the_host_is_told_of_a_repeated_fault_is_what_it_reads() -> None:
    found = made("settings: {fault_at_s: 0.5, fault_every_s: 2.0}\n", FILE.replace("[100, 1024]", "[5]"))
    trial = next(t for t in found.trials if t.cell.settings["fault"] == "graceful")
    (told,) = execute.block_json(execute.BlockNeeds(Path(), HOST, "/w/b1"), (trial,), CATALOGUE)["trials"]

    read = blockfile.parse(block({**trial_entry(window_s=10.0), "fault": told["fault"]})).trials[0].fault

    assert read == blockfile.Fault("graceful", 0.5, 2.0, 2.0)
    assert told["finishing"] > 0, "old processes finish beside the new ones"
    assert read is not None
    assert [len(read.moments(w)) for w in (10.0, 4.4)] == [4, 1]


def test_a_reload_is_made_by_a_driver_that_comes_back_and_has_no_trial_of_what_limits() -> None:
    found = made("repetitions: 6\n")

    assert {c.settings["driver"] for c in found.cells} == {"steady"}
    assert found.experiment.limits is LimitTrials.OFF


@pytest.mark.parametrize(
    ("more", "text", "where", "want", "fix"),
    [
        ("", FILE.replace("graceful", "gracefull"), "line 6", "does not take `gracefull`", "use `graceful`"),
        ("", FILE.replace("graceful", "reload-conf"), "line 6", "does not take `reload-conf`", "use `reload_conf`"),
        (
            "settings: {mpm: prefork, fault_every_s: 2.0}\n",
            FILE.replace("graceful", "kill_cgid"),
            "line 6",
            "the handler cgi cannot have the fault `kill_cgid`",
            "`graceful`, `none`, `reload_conf`, `restart`",
        ),
        (
            "  mpm: [event, prefork]\n",
            FILE.replace("graceful", "hide_socket"),
            "cell listen_backlog=100,fault=hide_socket,mpm=prefork",
            "the handler cgi cannot have the fault `hide_socket`",
            "use one of",
        ),
        ("settings: {fault_every_s: 0.5}\n", FILE, "cell", "has 0.5 s to be over", "raise fault_every_s"),
        (
            "settings: {fault_every_s: 5.0}\n",
            FILE.replace("graceful", "restart"),
            "cell",
            "httpd may take 11 s",
            "raise fault_every_s",
        ),
        ("settings: {fault_every_s: 9.0}\n", FILE, "cell", "beyond the window of 10.0 s", "fault_every_s"),
        ("settings: {cgid_nice: -5}\n", FILE, "cell", "comes back without its cgid_nice", "another fault"),
        ("load: {driver: h2load}\n", FILE, "cell", "does not come back when a reload", "driver: steady"),
        (
            "settings: {fault_every_s: 1.0}\n",
            FILE.replace("graceful", "kill_cgid"),
            "cell",
            "a fault of 2 s cannot come every 1 s",
            "lower fault_for_s",
        ),
        (
            "  fault_every_s: [1.0, 2.0]\n",
            FILE.replace("[none, graceful]", "[none]"),
            "reload",
            "`fault_every_s` has no effect",
            "leave fault_every_s out",
        ),
        (
            "  fault_for_s: [1.0, 2.0]\n",
            FILE,
            "reload",
            "`fault_for_s` has no effect",
            "leave fault_for_s out",
        ),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_its_place_and_what_to_write(
    more: str, text: str, where: str, want: str, fix: str
) -> None:
    with pytest.raises(SpecError) as caught:
        made(more, text)

    assert where in str(caught.value.where)
    assert want in caught.value.what
    assert fix in str(caught.value.fix)


def test_the_host_refuses_a_fault_that_does_not_go_into_its_window() -> None:
    late = {"action": "graceful", "at_s": 1.0, "for_s": 2.0, "every_s": 2.0}

    with pytest.raises(ValueError, match="does not go into a window"):
        blockfile.parse(block({**trial_entry(window_s=2.5), "fault": late}))
