"""Levels that follow from others: ranges, settings that are derived from factors, conditions on cells."""

from pathlib import Path

import pytest

from cgidlab.design import arithmetic, plan, spec
from cgidlab.errors import SpecError
from cgidlab.model import Plan
from cgidlab.runs import store
from tests.unit.test_spec import CATALOGUE, build
from tests.unit.test_spec import GOOD as WHOLE

GOOD = WHOLE.replace("workers: 400", "workers: 400\n  threads_per_child: 16")


def planned(text: str) -> Plan:
    return plan.make(build(text), CATALOGUE)


def labels(text: str, factor: str) -> list[str]:
    return [level.label for f in build(text).factors if f.name == factor for level in f.levels]


# Ranges.


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("{from: 1, to: 16, by: x2}", ["1", "2", "4", "8", "16"]),
        ("{from: 50, to: 220, by: 50}", ["50", "100", "150", "200"]),
        ("{from: 1, to: 6, by: x1.5}", ["1", "2", "3", "5"]),
        ("{from: 7, to: 7, by: 1}", ["7"]),
    ],
)
def test_a_range_has_the_levels_that_its_steps_reach(written: str, want: list[str]) -> None:
    assert labels(GOOD.replace("[50, 200]", written), "clients") == want


def test_steps_of_a_fraction_have_the_levels_that_they_are_written_as() -> None:
    text = GOOD.replace("window_s: 5.0\n", "").replace("clients: [50, 200]", "window_s: {from: 0.5, to: 0.8, by: 0.1}")

    assert labels(text, "window_s") == ["0.5", "0.6", "0.7", "0.8"]


@pytest.mark.parametrize(
    ("written", "key", "said"),
    [
        ("{from: 1, to: 16, by: 2x}", "factors.clients.by", "x2"),
        ("{from: 1, to: 16, by: x1}", "factors.clients.by", "never comes"),
        ("{from: 1, to: 16, by: 0}", "factors.clients.by", "never comes"),
        ("{from: 16, to: 1, by: 1}", "factors.clients.by", "never comes"),
        ("{from: -1, to: 16, by: x2}", "factors.clients.by", "never comes"),
        ("{from: 1, to: 10000, by: 1}", "factors.clients.by", "larger step"),
        ("{from: 1, to: 16, step: 2}", "factors.clients.step", "`by`"),
        ("{from: 1, by: 2}", "factors.clients.to", "`to`"),
        ("{from: 1, to: x, by: 2}", "factors.clients.to", ""),
        ("{from: 0, to: 4, by: 1}", "factors.clients.0", "0"),
        ('"= workers"', "factors.clients", "below `settings:`"),
    ],
)
def test_a_range_that_is_none_is_refused_where_it_stands(written: str, key: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(GOOD.replace("[50, 200]", written))

    assert caught.value.where == f"x.yml, line 6, {key}"
    assert said in str(caught.value)


# Settings that follow from factors.


def test_a_setting_follows_from_factors_cell_by_cell(tmp_path: Path) -> None:
    text = GOOD.replace("workers: 400", 'workers: "= max(clients, 64) // 16 * 16"')
    text = text.replace("window_s: 5.0", 'window_s: "= clients / 40"')

    made = planned(text)

    got = {(c.label_of("clients"), c.settings["workers"], c.settings["window_s"]) for c in made.cells}
    assert got == {("50", 64, 1.25), ("200", 192, 5.0)}
    assert "workers" not in made.experiment.settings
    run = store.create(tmp_path, made, "x")
    assert store.experiment_of(run) == made.experiment
    spec.check(store.experiment_of(run), CATALOGUE, "plan.json")
    assert plan.make(store.experiment_of(run), CATALOGUE) == made


def test_the_command_line_sets_what_would_follow() -> None:
    got = build(GOOD.replace("workers: 400", 'workers: "= clients"'), overrides=[("workers", "512")])

    assert got.derived == ()
    assert got.settings["workers"] == 512


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("= client", "use `clients`"),
        ("= workers", "no factor here"),
        ("= 400", "write the value itself"),
        ("=", "no formula"),
        ("= clients ** 2", "no arithmetic"),
        ("= __import__(0, 1)", "no arithmetic"),
        ("= clients.real", "no arithmetic"),
        ("= [clients][0]", "no arithmetic"),
        ("= (lambda: clients)()", "no arithmetic"),
        ("= max(clients)", "no arithmetic"),
        ("= max(*clients, 2)", "no arithmetic"),
        ("= f'{clients}'", "no arithmetic"),
        ("= clients if 1 else 2", "no arithmetic"),
        ("= (clients := 3)", "no arithmetic"),
        ("= ~clients", "no arithmetic"),
        ("= 1j * clients", "no arithmetic"),
        (f"= {'(' * 150}clients{')' * 150}", "characters"),
        ("= clients\\0", "no formula"),
    ],
)
def test_a_formula_is_arithmetic_on_factors_and_nothing_else(formula: str, said: str) -> None:
    escaped = formula.replace('"', '\\"')
    with pytest.raises(SpecError) as caught:
        build(GOOD.replace("workers: 400", f'workers: "{escaped}"'))

    assert said in str(caught.value) or "control character" in str(caught.value)
    assert caught.value.where.startswith("x.yml, line 8")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("= clients / 400", "is a whole number"),
        ("= clients - 50", "outside 1 to"),
        ("= 1 // (clients - 50)", "divides by 0"),
        ("= clients * 99999999999999999999", "too large"),
        ("= clients < 3", "no number"),
    ],
)
def test_a_cell_in_which_a_setting_has_no_value_is_refused_by_name(formula: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        planned(GOOD.replace("workers: 400", f'workers: "{formula}"'))

    assert caught.value.where.startswith("cell listen_backlog=1,clients=50")
    assert said in str(caught.value)


def test_text_follows_from_nothing() -> None:
    with pytest.raises(SpecError, match="only numbers follow from factors"):
        build(GOOD.replace("workers: 400", 'log_level: "= clients"'))


def test_a_factor_without_numbers_is_no_part_of_arithmetic() -> None:
    text = GOOD.replace("clients: [50, 200]", "mpm: [event, worker]").replace("workers: 400", 'workers: "= mpm * 2"')

    with pytest.raises(SpecError, match="has the level event, which is no number"):
        build(text)


# Conditions.


def test_a_condition_leaves_out_the_cells_for_which_it_holds() -> None:
    text = GOOD.replace("repetitions: 6", 'repetitions: 6\nexclude: ["clients < 2 * listen_backlog"]')

    assert {c.id for c in planned(text).cells} == {
        "listen_backlog=1,clients=50",
        "listen_backlog=1,clients=200",
        "listen_backlog=100,clients=200",
    }


def test_texts_are_compared_with_the_levels_of_their_factor() -> None:
    text = GOOD.replace("listen_backlog: [1, 100]", "mpm: [event, worker]").replace(
        "repetitions: 6", "repetitions: 6\nexclude: [\"mpm == 'worker' and not clients > 50\"]"
    )

    assert {c.id for c in planned(text).cells} == {
        "mpm=event,clients=50",
        "mpm=event,clients=200",
        "mpm=worker,clients=200",
    }


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("client < 3", "`clients`"),
        ("clients < 3", "holds for no cell"),
        ("clients", "neither true nor false"),
        ("clients == 'many'", "two kinds"),
        ("clients < 'many'", "no number"),
        ("clients is 50", "no arithmetic"),
        ("clients in (50, 200)", "no arithmetic"),
        ("workers < clients", "`workers`"),
    ],
)
def test_a_condition_that_is_none_is_refused_where_it_stands(condition: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(GOOD.replace("repetitions: 6", f'repetitions: 6\nexclude: ["{condition}"]'))

    assert caught.value.where == "x.yml, line 13, exclude.0"
    assert said in str(caught.value)


def test_an_exclusion_of_a_level_that_is_left_out_goes_with_it(tmp_path: Path) -> None:
    text = GOOD.replace(
        "repetitions: 6", "repetitions: 6\nexclude: [{listen_backlog: 1, clients: [50, 200]}, {clients: 50}]"
    )

    got = build(text, only=[("clients", ("200",))])

    assert got.exclude == ((("listen_backlog", "1"), ("clients", "200")),)
    run = store.create(tmp_path, plan.make(got, CATALOGUE), "x")
    spec.check(store.experiment_of(run), CATALOGUE, "plan.json")


def test_a_formula_reads_as_it_is_written() -> None:
    read = arithmetic.read("min(a, 2 * b) % 7 - -1", ["a", "b"], "here")

    assert read.names == ("a", "b")
    assert read.number({"a": 30, "b": 12}) == 24 % 7 + 1
