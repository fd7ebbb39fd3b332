"""Where it is asked what limits, what a run keeps of it, and what the verdict says of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cgidhost.interventions import INTERVENTIONS

from cgidlab.analysis.analyse import analyse
from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.interventions import HeldBack, LimitsShown, LimitWord, SlotEffect
from cgidlab.calibrate import State, limit_controls
from cgidlab.design import catalogue, limiting, plan, spec, strict_yaml
from cgidlab.design.plan import blocks_within
from cgidlab.engine import execute, limits_trial
from cgidlab.errors import SpecError
from cgidlab.model import LimitTrials, Plan
from cgidlab.runs import limiting as kept
from cgidlab.runs import store
from cgidlab.verdict import Verdict, judge, summary_json
from tests.unit import run_directories, verdict_data
from tests.unit.test_execute import HOST

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
FILE = """\
schema_version: 1
name: small
question: What limits?
factors: {listen_backlog: [5, 100], clients: [50, 200, 10]}
repetitions: 6
"""


def made(text: str = FILE) -> Plan:
    return plan.make(spec.build(strict_yaml.parse(text.encode(), "small.yml"), CATALOGUE), CATALOGUE)


@pytest.mark.parametrize(
    ("more", "want"),
    [
        ("", LimitTrials.ONCE),
        ("limits: off\n", LimitTrials.OFF),
        ("limits: cells\n", LimitTrials.CELLS),
        ("load: {loop: open, rate: 100}\n", LimitTrials.OFF),
        ("load: {loop: open, rate: 100}\nlimits: once\n", LimitTrials.ONCE),
        ("settings: {fault: freeze_cgid}\n", LimitTrials.OFF),
        ("load: {clients: 1}\n", LimitTrials.OFF),
        ("load: {clients: 2}\n", LimitTrials.ONCE),
    ],
    ids=["a sweep", "off", "cells", "an open loop", "an open loop that asks", "a fault", "one client", "two"],
)
def test_what_limits_is_asked_where_throughput_is_compared_and_can_change(more: str, want: LimitTrials) -> None:
    if "open" in more:
        more += "exclude: []\n"
    text = FILE.replace("clients: [50, 200, 10]", "rate: [50, 100]") if "open" in more else FILE
    if "load: {clients" in more:
        text = FILE.replace(", clients: [50, 200, 10]", "")
    text = text + more.replace(", rate: 100", "")

    assert made(text).experiment.limits is want


@pytest.mark.parametrize("repetitions", ["1", "{min: 5, max: 12}"])
def test_an_experiment_with_too_few_blocks_for_a_claim_asks_for_nothing(repetitions: str) -> None:
    found = made(FILE.replace("repetitions: 6", f"repetitions: {repetitions}"))

    assert limiting.trials(found) == ()
    assert limiting.extra_s(found) == 0


def test_a_word_that_is_none_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match="limits") as refused:
        made(FILE + "limits: sometimes\n")

    assert refused.value.where.startswith("small.yml, line 6")


def test_one_cell_is_that_of_the_reference_with_the_most_clients() -> None:
    [trial] = limiting.trials(made())

    assert {n: lv.label for n, lv in trial.cell.levels} == {"listen_backlog": "100", "clients": "200"}
    assert trial.intervention_slot_s == 1.0
    assert trial.cell.settings["window_s"] == 129.5
    assert not trial.cell.settings["listen_queue"]


def test_all_cells_are_all_but_those_that_a_fault_is_in_and_the_second_of_an_a_a_pair() -> None:
    text = """\
schema_version: 1
name: small
question: What limits?
factors:
  listen_backlog: [5, {label: 5 again, value: 5}, 100]
  fault: [none, freeze_cgid]
limits: cells
verdict: {factor: listen_backlog, reference: 100}
"""
    trials = limiting.trials(made(text))

    assert [t.cell.label_of("listen_backlog") for t in trials] == ["5", "100"]
    assert {t.cell.settings["fault"] for t in trials} == {"none"}
    assert len({t.number for t in trials} | {t.key for t in trials}) == 4


def test_the_host_is_told_how_long_slots_are_in_such_a_trial_alone() -> None:
    found = made()
    trial = limiting.trials(found)[0]

    settings = {**trial.cell.settings, "listen_backlog": 5}
    both = tuple(replace(t, cell=replace(t.cell, settings=settings)) for t in (found.trials[0], trial))

    got = execute.block_json(execute.BlockNeeds(Path(), HOST, "/w/b1"), both, CATALOGUE)

    assert [t["intervention_slot_s"] for t in got["trials"]] == [None, limiting.SLOT_S]


def test_a_budget_has_room_for_blocks_first() -> None:
    found = made()
    whole_s = plan.estimated_s(found) + limiting.extra_s(found)

    assert limiting.fits(found, None)
    assert limiting.fits(found, whole_s)
    assert not limiting.fits(found, whole_s - 1)


def test_what_is_made_beside_one_block_is_no_pace_of_the_others() -> None:
    found = made(FILE.replace("repetitions: 6", "repetitions: {min: 6, max: 12}"))
    extra_s = 116.0

    assert blocks_within(found, 600.0, done=2, elapsed_s=60.0 + extra_s, beside_s=extra_s) == 12
    assert blocks_within(found, 600.0, done=2, elapsed_s=60.0 + extra_s) < 8
    one_s = plan.estimated_s(found, 1)
    assert blocks_within(found, 3.5 * one_s + extra_s, beside_s=extra_s) == 3


def test_the_plan_that_is_kept_says_where_it_is_asked_and_an_older_one_nowhere(tmp_path: Path) -> None:
    found = run_directories.planned(tmp_path, run_directories.EXPERIMENT + "limits: cells\n")
    run = store.create(tmp_path / "results", found, "a")

    assert store.planned(run).limits is LimitTrials.CELLS
    older = {k: v for k, v in run.read("plan.json").items() if k != "limits"}
    (run.path / "plan.json").write_text(json.dumps(older))
    assert store.planned(run).limits is LimitTrials.OFF


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ("{cgid_nice: -21}", "is no nice value"),
        ("{cgid_nice: 5, mpm: prefork}", "means nothing with the handler cgi"),
        ("{cgid_nice: -5, fault: kill_cgid, fault_at_s: 1.0, fault_for_s: 1.0}", "comes back without"),
    ],
)
def test_a_nice_value_that_cannot_hold_is_refused(settings: str, want: str) -> None:
    with pytest.raises(SpecError, match=want):
        made(FILE + f"settings: {settings}\n")


# What a run keeps.


def test_a_trial_that_is_kept_is_read_and_one_that_is_damaged_or_failed_says_so(tmp_path: Path) -> None:
    found = run_directories.planned(tmp_path, FILE + "limits: cells\n")
    run = store.create(tmp_path / "results", found, "a")
    own = kept.directory(run, "local")
    own.trials.mkdir(parents=True)
    trials = limiting.trials(found)
    failed = run_directories.archive(tmp_path / "x", trials[0], ended="failed", kind="sut", reason="httpd ended")
    run_directories.keep(own, failed, trials[0])
    torn = run_directories.keep(own, run_directories.archive(tmp_path / "y", trials[1]), trials[1])
    (torn / "trial.json").write_text("{")

    shown, damaged = kept.shown(run)

    assert [(one.host, one.reason) for one in shown] == [("local", "httpd ended")]
    assert [d.file for d in damaged] == [f"limits/local/trials/{torn.name}/trial.json"]
    assert kept.done(run, "local") == {trials[0].key}
    assert kept.done(run, "other") == frozenset()


def test_a_trial_that_was_stopped_is_made_again_when_the_run_goes_on(tmp_path: Path) -> None:
    found = run_directories.planned(tmp_path, FILE)
    run = store.create(tmp_path / "results", found, "a")
    [trial] = limiting.trials(found)
    beside = limits_trial.beside(found, run, "local")
    assert beside is not None
    assert beside.trials == (trial,)

    for kind, again in (("interrupted", True), ("sut", False)):
        packed = run_directories.archive(tmp_path / kind, trial, ended="failed", kind=kind, reason="why")
        beside.run.trials.mkdir(parents=True, exist_ok=True)
        run_directories.keep(beside.run, packed, trial)
        assert (limits_trial.beside(found, run, "local") is not None) == again


# What the verdict says.


def effect(name: str, ratio: float, low: float, high: float) -> SlotEffect:
    return SlotEffect(name, 0.2, 8, ratio, Interval(low, high))


def held(component: str, word: LimitWord, low: float, high: float) -> HeldBack:
    return HeldBack(component, word, (low + high) / 2, Interval(low, high), (effect("x", 0.8, 0.75, 0.85),))


TOGETHER = LimitsShown(
    "local",
    (("listen_backlog", "100"), ("clients", "400")),
    113,
    (
        held("cgid daemon", LimitWord.LIMITS, 0.8, 1.0),
        held("host CPU", LimitWord.LIMITS, 1.0, 1.2),
        held("driver", LimitWord.DOES_NOT, -0.1, 0.1),
        held("scripts", LimitWord.UNKNOWN, 0.1, 0.5),
        HeldBack("MaxRequestWorkers", LimitWord.UNKNOWN, None, None, (), "nothing answers"),
    ),
    first=(effect("daemon_nice", 1.064, 1.045, 1.084), effect("daemon_fifo", 1.03, 0.99, 1.07)),
)


def judged(tried: Sequence[LimitsShown]) -> Verdict:
    experiment, records, notes = verdict_data.load("overflow_with_cost")
    return judge(analyse(records, experiment), records, notes, tried)


def line(tried: Sequence[LimitsShown], name: str = "Limit") -> str:
    return {a.name: a.text for a in judged(tried).answers}[name]


def test_what_was_shown_is_said_and_nothing_of_a_hint() -> None:
    assert line([TOGETHER]) == (
        "Shown by holding back at listen_backlog=100, clients=400 (throughput lost by share held back): "
        "limits: the cgid daemon 0.90 (0.80 to 1.00) and the host's CPUs 1.10 (1.00 to 1.20); "
        "does not limit: the driver 0.00 (-0.10 to 0.10); "
        "not known of: the scripts' own work 0.30 (0.10 to 0.50) and the number of workers (nothing answers). "
        "The daemon at nice -10 changes throughput by +6.4 % (+4.5 to +8.4)."
    )
    assert line([]).startswith("A hint, not shown: ")


def test_what_could_not_be_shown_says_why_beside_the_hint() -> None:
    silent = LimitsShown("local", TOGETHER.levels, 0, reason="httpd ended")

    assert line([silent]).startswith("Not shown by holding things back: httpd ended. A hint, not shown: ")
    assert judged([silent]).lines[3].startswith("What limits was tried by holding things back and is not shown: httpd")


def test_what_one_trial_did_not_show_is_asked_of_every_cell_and_not_of_one_again() -> None:
    noisy = replace(TOGETHER, held=tuple(replace(h, word=LimitWord.UNKNOWN) for h in TOGETHER.held), first=())
    nothing = replace(TOGETHER, slots=0, held=(), first=(), reason="httpd ended")

    def advised(tried: Sequence[LimitsShown]) -> str:
        return judged(tried).lines[4]

    assert "which of them limits (limits: cells)" in advised([noisy])
    assert "which of them limits (limits: once)" in advised([nothing])
    assert "which of them limits (limits: once)" in advised([])


def test_several_cells_are_counted() -> None:
    other = replace(
        TOGETHER,
        levels=(("listen_backlog", "1"), ("clients", "50")),
        held=(held("cgid daemon", LimitWord.UNKNOWN, 0.1, 0.9), *TOGETHER.held[1:]),
    )

    said = line([TOGETHER, other])

    assert said.startswith("Shown by holding back at 2 cells (throughput lost by share held back): ")
    assert said.endswith(
        "limits: the cgid daemon in 1 of 2 (0.90) and the host's CPUs in 2 of 2 (1.10); "
        "does not limit: the driver in 2 of 2 (0.00); "
        "not known of: the cgid daemon in 1 of 2 (0.50), the scripts' own work in 2 of 2 (0.30) "
        "and the number of workers in 2 of 2."
    )
    assert "nice" not in said


def test_several_cells_are_counted_in_japanese_too() -> None:
    held_back = (held("cgid daemon", LimitWord.LIMITS, 0.7, 0.9), *TOGETHER.held[1:])
    wide = replace(TOGETHER, levels=(("listen_backlog", "1"), ("clients", "50")), held=held_back)
    told = {a.topic: a.told_in("ja")[1] for a in judged([TOGETHER, wide]).answers}["limit"]

    assert told == (
        "2 セル で一つずつ抑えて確かめた: 限界である: cgid デーモン(2 件中 2 件、0.80〜0.90)、"
        "ホストの CPU(2 件中 2 件、1.10)、限界ではない: 負荷生成プログラム(2 件中 2 件、0.00)、"
        "不明: スクリプト自体の処理(2 件中 2 件、0.30)、ワーカースレッドの数(2 件中 2 件)。"
    )


def test_advice_follows_what_was_shown_and_not_what_is_busy() -> None:
    before, after = judged([]).lines[4], judged([TOGETHER]).lines[4]

    assert "chrt --reset-on-fork" not in before
    assert "chrt --reset-on-fork" in after
    assert "+6.4 % (+4.5 to +8.4) throughput" in after
    assert "more cores or cheaper scripts" in after
    assert "another host" not in after


@pytest.mark.parametrize(
    ("word", "want"),
    [
        (LimitWord.LIMITS, "a faster script would raise throughput (holding back the scripts' own work"),
        (LimitWord.UNKNOWN, "more cores or cheaper scripts would raise throughput (holding back the host's CPUs"),
        (LimitWord.DOES_NOT, "more cores would raise throughput (holding back the host's CPUs"),
    ],
)
def test_a_faster_script_is_advised_where_scripts_limit_and_no_cheaper_one_where_they_do_not(
    word: LimitWord, want: str
) -> None:
    tried = replace(TOGETHER, held=(held("scripts", word, 0.0, 1.0), held("host CPU", LimitWord.LIMITS, 0.9, 1.1)))

    advice = judged([tried]).lines[4]

    assert want in advice
    assert ("faster script" in advice) == (word is LimitWord.LIMITS)


def test_all_of_it_is_data_in_the_summary() -> None:
    verdict = judged([TOGETHER])
    experiment, records, _ = verdict_data.load("overflow_with_cost")
    whole = summary_json(analyse(records, experiment), verdict, experiment="x", run_id="y", timing={}, failures={})

    [one] = json.loads(json.dumps(whole))["verdict"]["shown"]
    assert one["host"] == "local"
    assert one["components"][0]["word"] == "limits"
    assert one["components"][0]["interval"] == [0.8, 1.0]
    assert one["components"][4] == {
        "name": "MaxRequestWorkers", "word": "not known", "elasticity": None, "interval": None,
        "reason": "nothing answers", "effects": [],
    }  # fmt: skip
    assert one["precedence"][0]["name"] == "daemon_nice"


# The controls.


def control(name: str, **words: LimitWord) -> LimitsShown:
    ends = {LimitWord.LIMITS: (0.8, 1.2), LimitWord.DOES_NOT: (-0.1, 0.1), LimitWord.UNKNOWN: (0.1, 0.9)}
    parts = {
        "daemon": "cgid daemon",
        "cpu": "host CPU",
        "driver": "driver",
        "workers": "MaxRequestWorkers",
        "scripts": "scripts",
    }
    found = {component: words.get(short, LimitWord.DOES_NOT) for short, component in parts.items()}
    return LimitsShown("local", (("control", name),), 113, tuple(held(c, w, *ends[w]) for c, w in found.items()))


def states(found: Sequence[LimitsShown], name: str) -> dict[str, State]:
    return {row.witness: row.state for row in limit_controls.judge(found) if row.control == name}


def test_a_control_passes_where_its_limit_alone_is_named() -> None:
    right = states([control("slow daemon", daemon=LimitWord.LIMITS)], "slow daemon")
    wrong = states([control("slow daemon", cpu=LimitWord.LIMITS)], "slow daemon")

    assert set(right.values()) == {State.PASS}
    assert wrong["cgid daemon"] is wrong["host CPU"] is State.FAIL
    assert wrong["driver"] is State.PASS


def test_a_control_that_two_things_limit_passes_where_both_are_named() -> None:
    both = states([control("busy scripts", cpu=LimitWord.LIMITS, scripts=LimitWord.LIMITS)], "busy scripts")
    one = states([control("busy scripts", cpu=LimitWord.LIMITS)], "busy scripts")

    assert set(both.values()) == {State.PASS}
    assert [name for name, state in one.items() if state is State.FAIL] == ["scripts"]
    assert states([], "busy scripts") == {"host CPU": State.FAIL, "scripts": State.FAIL}


def test_what_is_not_known_of_a_control_is_no_row() -> None:
    found = states([control("few workers", workers=LimitWord.LIMITS, scripts=LimitWord.LIMITS)], "few workers")

    assert set(found) == {"MaxRequestWorkers", "cgid daemon", "host CPU", "driver"}
    assert set(found.values()) == {State.PASS}


def test_some_controls_alone_are_made_and_judged_and_another_name_is_refused() -> None:
    some = ("few workers", "slow driver")

    found = limit_controls.make_plan(CATALOGUE, target="local", httpd="distro", names=some)

    assert [c.label_of("control") for c in found.cells] == ["slow driver", "few workers"]
    assert {row.control for row in limit_controls.judge([], some)} == set(some)
    with pytest.raises(SpecError, match="no control is called `fast driver`"):
        limit_controls.make_plan(CATALOGUE, target="local", httpd="distro", names=("fast driver",))


def test_where_nothing_limits_nothing_may_be_named_and_a_trial_that_is_lacking_fails() -> None:
    assert set(states([control("few requests")], "few requests").values()) == {State.PASS}
    assert states([control("few requests", cpu=LimitWord.LIMITS)], "few requests")["host CPU"] is State.FAIL
    assert states([], "few requests") == {limit_controls._OVER: State.FAIL}  # noqa: SLF001 -- what the row is of


def test_the_controls_differ_in_what_limits_them_and_hold_things_back_as_a_run_does() -> None:
    found = limit_controls.make_plan(CATALOGUE, target="local", httpd="distro")

    assert len(found.trials) == 6
    assert {t.intervention_slot_s for t in found.trials} == {limiting.SLOT_S}
    assert {float(t.cell.settings["window_s"]) for t in found.trials} == {limiting.BESIDE["window_s"]}
    made = limit_controls.LIMIT_CONTROLS.values()
    assert {name for c in made for name in c.limits} == {kind.component for kind in INTERVENTIONS.values()} - {""}
    assert () in [c.limits for c in made]
