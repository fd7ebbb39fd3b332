"""The plan is complete, balanced, random within a block and the same for the same seed."""

from collections import Counter
from dataclasses import replace
from math import factorial
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


def test_cells_that_are_compared_run_next_to_each_other_in_each_pass() -> None:
    passes = replace(SWEEP, repetitions=replace(SWEEP.repetitions, passes=3))
    levels = len(next(f.levels for f in SWEEP.factors if f.name == SWEEP.rule.factor))
    orders = []

    for block in plan.make(passes, CATALOGUE).blocks:
        for begin in range(0, len(block), levels):
            group = block[begin : begin + levels]
            here = {tuple((n, lv.label) for n, lv in t.cell.levels if n != SWEEP.rule.factor) for t in group}
            assert len(here) == 1
            orders.append((here.pop(), tuple(t.cell.label_of(SWEEP.rule.factor) for t in group)))

    places = {place for place, _ in orders}
    assert len(set(orders)) == len(places) * factorial(levels)  # every order of a place's cells comes
    assert {place for place, _ in orders[:: len(places)]} == places  # and each place is the first of some pass


def test_more_blocks_leave_the_earlier_ones_as_they_were() -> None:
    longer = plan.make(replace(SWEEP, repetitions=replace(SWEEP.repetitions, max=12)), CATALOGUE)

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
        ("settings: {driver_cpu_us: 9}", "h2load in a closed loop cannot be told to use more CPU"),
        ("load: {loop: open, driver: steady}\nsettings: {driver_cpu_us: 9}", "steady in an open loop cannot"),
        ("load: {loop: open, rate: 333}", "sent evenly"),
        ('settings: {handler: fcgiwrap, log_level: "warn cgid:debug"}', "mod_cgid"),
        ("settings: {handler: gunicorn, fault: freeze_cgid}", "the handler gunicorn cannot have the fault"),
        ("settings: {mpm: prefork}", r"(?s)`listen_backlog` means nothing with the handler cgi.*line 5"),
        (
            "settings: {children: 5}",
            r"(?s)`children` means nothing with the handler cgid.*line 9, settings.children",
        ),
        ("settings: {handler: fcgid}", r"(?s)`listen_backlog` means nothing with the handler fcgid.*line 5"),
        ("settings: {handler: uwsgi, somaxconn: 64}", "does not start with listen_backlog=100 above somaxconn=64"),
        ("settings: {handler: fgciwrap}", r"(?s)`fgciwrap`.*line 9.*use `fcgiwrap`"),
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


HANDLERS = TEXT.replace("clients: [50, 200]", "handler: [cgid, cgi, php_fpm]")


def test_cells_that_their_handler_could_not_tell_apart_are_refused_until_all_but_one_are_left_out() -> None:
    with pytest.raises(
        SpecError,
        match=r"(?s)means nothing with the handler cgi: two.*exclude: \[\{listen_backlog: 5, handler: cgi",
    ):
        plan.make(experiment(HANDLERS), CATALOGUE)

    got = plan.make(experiment(HANDLERS + "exclude: [\"handler == 'cgi' and listen_backlog != 100\"]\n"), CATALOGUE)

    assert [c.id for c in got.cells if c.id.endswith("=cgi")] == ["listen_backlog=100,handler=cgi"]
    assert len(got.cells) == 7


# Passes ---------------------------------------------------------------------------------------------------------------


def passes(repetitions: str = "repetitions: 6", more: str = "passes: 4") -> Experiment:
    return experiment(TEXT.replace("repetitions: 8", repetitions) + more + "\n")


def test_a_block_is_so_many_passes_over_its_cells_each_in_an_order_of_its_own() -> None:
    got = plan.make(passes(), CATALOGUE)

    orders = set()
    for block in got.blocks:
        assert [t.pass_number for t in block] == [p for p in (1, 2, 3, 4) for _ in got.cells]
        for number in (1, 2, 3, 4):
            order = tuple(t.cell.id for t in block if t.pass_number == number)
            assert Counter(order) == Counter(c.id for c in got.cells)
            orders.add(order)
    assert len(orders) > 15
    assert len({t.key for t in got.trials}) == len({t.directory for t in got.trials}) == len(got.trials) == 6 * 4 * 6
    assert [t.number for t in got.trials] == list(range(1, len(got.trials) + 1))


def test_one_pass_in_four_is_watched_whole_at_random_and_one_of_the_first_block_always() -> None:
    watched = {(t.block, t.pass_number): t.watched for t in plan.make(passes("repetitions: 200"), CATALOGUE).trials}

    found = Counter(number for (_, number), on in watched.items() if on)

    assert sum(found.values()) == 200
    assert min(found.values()) > 25, "50 expected each; 25 is four standard deviations off"
    assert any(on for (block, _), on in watched.items() if block == 1)


@pytest.mark.parametrize(("passes_", "every"), [(1, 4), (2, 4), (3, 4), (1, 2), (5, 3)])
def test_each_so_many_passes_of_the_run_have_a_watched_one(passes_: int, every: int) -> None:
    got = plan.make(passes("repetitions: 12", f"passes: {passes_}\nwatch_every: {every}"), CATALOGUE)

    by_pass = [got.trials[i].watched for i in range(0, len(got.trials), len(got.cells))]

    groups = [by_pass[i : i + every] for i in range(0, len(by_pass) - every + 1, every)]
    assert all(sum(group) == 1 for group in groups)
    assert any(by_pass[:passes_])


def test_an_unwatched_pass_has_the_instruments_off_that_are_no_factors() -> None:
    text = TEXT.replace("clients: [50, 200]", "strace: [false, true]") + "watch_every: 4\n"
    got = plan.make(experiment(text), CATALOGUE)

    for trial in got.trials:
        settings = trial.cell.settings
        assert settings["listen_queue"] is settings["host"] is trial.watched
        assert settings["strace"] is (trial.cell.label_of("strace") == "true")


@pytest.mark.parametrize(
    ("repetitions", "more", "want"),
    [
        pytest.param("repetitions: 7", "", 1, id="of 7 blocks only 5 would be left"),
        pytest.param("repetitions: 8", "", 4, id="of 8 blocks 6 are left"),
        pytest.param("repetitions: 7", "watch_every: 4", 4, id="the file has its way"),
        pytest.param("repetitions: {min: 6, max: 30}", "", 4, id="a range is long enough"),
        pytest.param("repetitions: 6", "passes: 2", 4, id="blocks of several passes have unwatched ones"),
        pytest.param("repetitions: 12", "watch_every: 1", 1, id="all passes"),
    ],
)
def test_all_passes_are_watched_where_too_few_would_be_left_for_a_claim(repetitions: str, more: str, want: int) -> None:
    assert passes(repetitions, more).repetitions.watch_every == want


@pytest.mark.parametrize(
    ("until", "want"),
    [
        ("{half_width: 2%}", (("throughput_rps", 0.02),)),
        ("{half_width: {latency_p99_ms: 10%}}", (("latency_p99_ms", 0.1),)),
        ("decided", ()),
    ],
)
def test_a_run_may_go_on_until_it_is_known_well_enough(until: str, want: tuple[tuple[str, float], ...]) -> None:
    got = passes(f"repetitions: {{min: 6, max: 30, until: {until}}}", "")

    assert got.repetitions.half_widths == want


@pytest.mark.parametrize(
    ("repetitions", "more", "want"),
    [
        ("{min: 6, max: 30, until: {half_width: 0}}", "", "a share such as"),
        ("{min: 6, max: 30, until: {half_width: {latency_p50_ms: 2%}}}", "", "names no response"),
        ("{min: 6, max: 30, until: {half_widht: 2%}}", "", "half_width"),
        ("{min: 6, max: 30, until: {half_width: {}}}", "", "no response is named"),
        ("6", "passes: 0", "passes"),
        ("6", "watch_every: 0", "watch_every"),
        ("1000", "passes: 100", "at most 200000"),
    ],
)
def test_what_cannot_be_a_number_of_passes_or_a_precision_is_refused(repetitions: str, more: str, want: str) -> None:
    with pytest.raises(SpecError) as caught:
        passes(f"repetitions: {repetitions}", more)

    assert want in f"{caught.value.what} {caught.value.fix}"
