"""What an experiment file may say of how requests arrive, and what is refused before anything runs."""

import json
from pathlib import Path

import pytest
from cgidhost import blockfile
from cgidhost.arrivals import Arrivals

from cgidlab.design import arriving, catalogue, plan, spec, strict_yaml
from cgidlab.engine import execute, generators
from cgidlab.errors import SpecError
from cgidlab.model import Plan
from tests.unit.test_cgidhost_orders import block, trial_entry
from tests.unit.test_execute import HOST

CATALOGUE = catalogue.load(Path(__file__).parents[2] / "roles")
FILE = """\
schema_version: 1
name: arrivals
question: Which backlog bears which burst?
factors: {listen_backlog: [5]}
load: {loop: open, arrivals: poisson}
window_s: 4.0
"""


def made(text: str = FILE) -> Plan:
    return plan.make(spec.build(strict_yaml.parse(text.encode(), "f.yml"), CATALOGUE), CATALOGUE)


def loaded(load: str, more: str = "") -> str:
    return FILE.replace("{loop: open, arrivals: poisson}", load) + more


@pytest.mark.parametrize(
    ("load", "want"),
    [
        ("{loop: open}", "h2load"),
        ("{loop: open, arrivals: poisson}", "steady"),
        ("{loop: open, arrivals: constant, driver: steady}", "steady"),
        ("{loop: open, arrivals: bursts, burst_requests: 600}", "steady"),
        ("{loop: open, arrivals: ramp, rate_from: 10, rate: 500}", "steady"),
        ('{loop: open, arrivals: stages, stages: "100/s 2s, 600/s 2s"}', "steady"),
    ],
)
def test_a_file_that_names_no_driver_gets_one_that_can(load: str, want: str) -> None:
    assert {cell.settings["driver"] for cell in made(loaded(load)).cells} == {want}


@pytest.mark.parametrize(
    ("load", "more", "line", "words", "fix"),
    [
        pytest.param("{arrivals: poisson}", "", 5, "nothing in a closed loop", "loop: open", id="closed"),
        pytest.param("{burst_requests: 5}", "", 5, "nothing in a closed loop", "loop: open", id="closed, a burst"),
        pytest.param(
            "{loop: open, burst_requests: 5}", "", 5, "`burst_requests` means nothing with arrivals: constant",
            "use arrivals: bursts", id="a burst without bursts",
        ),
        pytest.param(
            "{loop: open, arrivals: poisson, rate_from: 5}", "", 5, "`rate_from` means nothing with arrivals: poisson",
            "use arrivals: ramp", id="a begin without a ramp",
        ),
        pytest.param(
            "{loop: open}", 'settings: {stages: "1/s 4s"}\n', 7, "`stages` means nothing with arrivals: constant",
            "use arrivals: stages", id="stages under settings",
        ),
        pytest.param(
            '{loop: open, arrivals: stages, rate: 5, stages: "1/s 4s"}', "", 5, "`rate` means nothing",
            "each stage says its rate", id="a rate beside stages",
        ),
        pytest.param(
            '{loop: open, arrivals: stages, stages: "1/s 3s"}', "", 0, "the stages last 3 s, and the window 4 s",
            "window_s: 3", id="stages shorter than the window",
        ),
        pytest.param(
            '{loop: open, arrivals: stages, stages: "100 for 4 s"}', "", 0, "`stages` does not take",
            '"100/s 2s, 600/s 1s"', id="stages in other words",
        ),
        pytest.param(
            '{loop: open, arrivals: stages, stages: "0/s 4s"}', "", 0, "`stages` does not take", "",
            id="a stage of nothing",
        ),
        pytest.param(
            "{loop: open, arrivals: bursts, burst_requests: 700, rate: 300}", "", 0,
            "the window of 4 s holds 1.71 of them", "window_s: 4.66667", id="a part of a burst",
        ),
        pytest.param(
            "{loop: open, arrivals: bursts, driver: h2load}", "", 0, "h2load cannot send bursts", "driver: steady",
            id="a driver that cannot",
        ),
        pytest.param("{loop: open, arrivals: spikes}", "", 5, "does not take `spikes`", "`bursts`", id="spikes"),
        pytest.param("{loop: open, arrivals: poison}", "", 5, "does not take `poison`", "`poisson`", id="a slip"),
        pytest.param("{loop: poisson}", "", 5, "`loop` does not take", "`arrivals: poisson`", id="arrivals as a loop"),
        pytest.param("{loop: opn}", "", 5, "`loop` does not take", "`open`", id="a slip in loop"),
        pytest.param(
            "{loop: open, arrivals: bursts}", "settings: {burst_every_s: 2}\n", 7, "no role has an option",
            "burst_requests / rate seconds", id="how often",
        ),
        pytest.param(
            "{loop: open, arrivals: bursts}", "settings: {burst_size: 2}\n", 7, "no role has an option",
            "`burst_requests`", id="another word for its size",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_with_its_line_and_what_to_do(
    load: str, more: str, line: int, words: str, fix: str
) -> None:
    with pytest.raises(SpecError) as caught:
        made(loaded(load, more))

    assert words in caught.value.what
    assert fix in caught.value.fix
    assert f"line {line}" in caught.value.where if line else "cell " in caught.value.where


@pytest.mark.parametrize(
    "factors",
    [
        "{arrivals: [poisson, bursts], burst_requests: [100, 300]}",
        "{loop: [closed, open], arrivals: [constant, poisson]}",
    ],
)
def test_cells_that_would_be_the_same_trial_are_refused(factors: str) -> None:
    text = FILE.replace("{listen_backlog: [5]}", factors).replace(
        "load: {loop: open, arrivals: poisson}", "load: {rate: 300}"
    )
    text = text if "loop" in factors else text.replace("{rate: 300}", "{loop: open, rate: 300}")

    with pytest.raises(SpecError, match=r"two cells would be the same|in a closed loop"):
        made(text)


def test_what_the_host_is_told_is_what_it_reads() -> None:
    trial = made(loaded('{loop: open, arrivals: stages, stages: "100/s 2s, 600/s 2s"}', "seed: 7\n")).trials[1]
    told = json.loads(
        json.dumps(execute.block_json(execute.BlockNeeds(Path(), HOST, "/w/b1", seed=7), (trial,), CATALOGUE))
    )["trials"][0]

    read = blockfile.parse(block({**trial_entry(loop="open"), "arrivals": told["arrivals"]})).trials[0].arrivals

    want = Arrivals("stages", 300, 100, 100, ((100.0, 2.0), (600.0, 2.0)), f"7:{trial.block}:{trial.pass_number}")
    assert read == want


def test_all_cells_of_a_pass_have_the_same_seed_and_each_pass_its_own() -> None:
    seeds: dict[tuple[int, int], set[str]] = {}
    for trial in made(FILE.replace("[5]", "[5, 100]") + "passes: 2\n").trials:
        told = arriving.order_of(trial, 3)
        assert told is not None
        seeds.setdefault((trial.block, trial.pass_number), set()).add(told["seed"])

    assert all(len(of_pass) == 1 for of_pass in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)


def test_a_driver_that_follows_no_schedule_and_a_closed_loop_are_told_none() -> None:
    assert arriving.order_of(made(loaded("{loop: open}")).trials[0], 1) is None
    assert arriving.order_of(made(loaded("{driver: steady}")).trials[0], 1) is None


def test_each_of_several_machines_is_told_its_part_of_one_schedule() -> None:
    trial = made().trials[0]
    margin_s = generators.margin_s(trial.cell.settings)

    told = arriving.order_of(trial, 1, part=1, parts=2, margin_s=margin_s)

    assert told is not None
    assert (told["part"], told["parts"], told["margin_s"], told["rate"]) == (1, 2, margin_s, 300)
