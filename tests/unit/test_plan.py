"""The plan is complete, balanced, random within a block and the same for the same seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.errors import SpecError
from cgidlab.model import Experiment, Repetitions

CATALOGUE = catalogue.load(Path(__file__).parents[2] / "roles")
TEXT = """\
schema_version: 1
name: sweep
question: Does it?
factors:
  listen_backlog: [1, 5, 100]
  clients: [50, 200]
repetitions: 8
seed: 3
"""


def experiment(text: str = TEXT) -> Experiment:
    return spec.build(strict_yaml.parse(text.encode(), "x.yml"), CATALOGUE)


SWEEP = experiment()


def test_each_block_holds_every_cell_once() -> None:
    got = plan.make(SWEEP, CATALOGUE)

    for block in got.blocks:
        assert Counter(t.cell.id for t in block) == Counter(c.id for c in got.cells)


def test_trials_are_numbered_in_the_order_of_the_run() -> None:
    assert [t.number for t in plan.make(SWEEP, CATALOGUE).trials] == list(range(1, 8 * 6 + 1))


def test_blocks_have_orders_of_their_own_that_the_seed_alone_decides() -> None:
    orders = [[t.cell.id for t in block] for block in plan.make(SWEEP, CATALOGUE).blocks]

    assert len({tuple(order) for order in orders}) > 4
    assert orders == [[t.cell.id for t in block] for block in plan.make(SWEEP, CATALOGUE).blocks]
    assert orders != [[t.cell.id for t in b] for b in plan.make(replace(SWEEP, seed=4), CATALOGUE).blocks]


def test_every_cell_comes_first_about_equally_often() -> None:
    many = replace(SWEEP, repetitions=Repetitions(600, 600))

    first = Counter(block[0].cell.id for block in plan.make(many, CATALOGUE).blocks)

    assert min(first.values()) > 60  # 100 expected; 60 is more than four standard deviations off


def test_more_blocks_leave_the_earlier_ones_as_they_were() -> None:
    longer = plan.make(replace(SWEEP, repetitions=Repetitions(8, 12)), CATALOGUE)

    assert longer.trials[: 8 * 6] == plan.make(SWEEP, CATALOGUE).trials


def test_a_trial_key_ignores_the_order_factors_were_written_in() -> None:
    flipped = replace(SWEEP, factors=SWEEP.factors[::-1])

    want = {t.key for t in plan.make(SWEEP, CATALOGUE).trials}

    assert {t.key for t in plan.make(flipped, CATALOGUE).trials} == want
    assert len(want) == 48


def test_a_trial_key_changes_with_any_setting() -> None:
    other = replace(SWEEP, settings={**SWEEP.settings, "somaxconn": 128})

    assert not {t.key for t in plan.make(SWEEP, CATALOGUE).trials} & {t.key for t in plan.make(other, CATALOGUE).trials}


def test_exclusions_leave_out_the_named_cells_alone() -> None:
    got = plan.make(experiment(TEXT + "exclude: [{listen_backlog: [1, 5], clients: 200}]\n"), CATALOGUE)

    assert [c.id for c in got.cells] == [
        "listen_backlog=1,clients=50",
        "listen_backlog=5,clients=50",
        "listen_backlog=100,clients=50",
        "listen_backlog=100,clients=200",
    ]


def test_levels_that_are_no_file_names_get_distinct_directories() -> None:
    text = TEXT.replace("clients: [50, 200]", 'log_level: [warn, "warn cgid:debug", "warn cgid_debug"]')

    names = {t.directory for t in plan.make(experiment(text), CATALOGUE).blocks[0]}

    assert len(names) == 9
    assert all("/" not in name and " " not in name and ":" not in name for name in names)


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ("settings: {workers: 410}", "multiple"),
        ("load: {loop: open, driver: ab}", "constant rate"),
        ("load: {loop: open, driver: wrk}", "wrk cannot keep a constant rate"),
        ("load: {loop: open, rate: 333}", "sent evenly"),
        ('settings: {mpm: prefork, log_level: "warn cgid:debug"}', "mod_cgid"),
        ("exclude: [{clients: [50, 200]}]", "no cell"),
    ],
)
def test_a_design_that_contradicts_itself_is_refused(settings: str, want: str) -> None:
    with pytest.raises(SpecError, match=want):
        plan.make(experiment(TEXT + settings + "\n"), CATALOGUE)


@pytest.mark.parametrize(
    ("factor", "want"),
    [("rate: [100, 500]", "loop=open"), ("sleep_ms: [1, 5]", "script=sleep"), ("size_bytes: [1, 5]", "script=bytes")],
)
def test_a_factor_without_effect_is_refused(factor: str, want: str) -> None:
    with pytest.raises(SpecError, match=want):
        plan.make(experiment(TEXT.replace("clients: [50, 200]", factor)), CATALOGUE)
