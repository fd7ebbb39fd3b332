"""A limit is searched: what a file may ask, which trials follow from which results, what is said of them."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import searching as simulated
from cgidlab import report
from cgidlab.analysis.analyse import analyse
from cgidlab.analysis.limit_searches import found_limits, misses
from cgidlab.analysis.searching import Probe, Search
from cgidlab.design import plan, spec
from cgidlab.engine import extending
from cgidlab.engine.extending import More
from cgidlab.engine.loading import Loaded
from cgidlab.engine.search_pacing import SearchPacing
from cgidlab.errors import SpecError
from cgidlab.model import (
    Experiment,
    FailureKind,
    Figures,
    LimitTrials,
    Outcome,
    Plan,
    Repetitions,
    Status,
    Trial,
    TrialRecord,
)
from cgidlab.progress import Display
from cgidlab.runs import store
from cgidlab.verdict import judge
from cgidlab.verdict.ending import Ending
from scripts import make_synthetic_run as synthetic
from tests.unit.test_languages import ENGLISH, NAMES
from tests.unit.test_spec import CATALOGUE, build

FILE = """\
schema_version: 1
name: capacity
question: How many?
search: {factor: clients, from: 10, to: 400, most: {latency_p99_ms: 300, gave_up_503: 0}}
factors:
  listen_backlog: [100, 1024]
settings: {workers: 400, threads_per_child: 400}
window_s: 4.0
"""
LIMITS = {"100": 60.0, "1024": 240.0}


# The file.


def test_a_search_has_candidates_between_its_ends(tmp_path: Path) -> None:
    got = build(FILE)

    assert got.search is not None
    assert [(g.figure, g.sense, g.bound) for g in got.search.goals] == [
        ("latency_p99_ms", "<=", 300.0),
        ("gave_up_503", "<=", 0.0),
    ]
    assert (got.search.short_s, got.search.window_s, got.search.exceed) == (1.0, 4.0, 0.5)
    values = [float(level.value) for level in got.hardest_last]
    assert (values[0], values[-1]) == (10, 400)
    assert max(b / a for a, b in pairwise(values[40:])) < 1.05
    assert got.places == ((("listen_backlog", "100"),), (("listen_backlog", "1024"),))
    made = plan.make(got, CATALOGUE)
    assert made.trials == ()
    run = store.create(tmp_path, made, "x")
    assert store.experiment_of(run) == got
    spec.check(got, CATALOGUE, "plan.json")


def test_the_least_is_searched_from_the_other_end() -> None:
    got = build(
        FILE.replace("factor: clients", "factor: listen_backlog")
        .replace("listen_backlog: [100, 1024]", "clients: [50, 200]")
        .replace("most: {latency_p99_ms: 300, gave_up_503: 0}", "least: {queue_full_share: 0}")
    )

    assert [got.hardest_last[0].value, got.hardest_last[-1].value] == [400, 10]


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("factor: clients", "factor: client", "search.factor", "`clients`"),
        ("factor: clients", "factor: mpm", "search.factor", "only a number"),
        ("factor: clients", "factor: listen_backlog", "search.factor", "has levels"),
        ("most:", "step: 0, most:", "search.step", "greater"),
        ("to: 400", "to: 10", "search.to", "nothing to search"),
        ("to: 400", "to: 0", "search.to", "outside"),
        ("to: 400, ", "", "search.to", "missing"),
        ("most:", "mos:", "search.mos", "`most`"),
        ("to: 400", "to: 40000, precision: 0.1%", "search.precision", "raise `precision`"),
        ("most:", "exceed: 100%, most:", "search.exceed", "is none"),
        ("most:", "short_s: 5.0, most:", "search.short_s", "longer than the window"),
        ("most:", "least: {queue_full_share: 0}, most:", "search", "most or for the least"),
        ("most: {latency_p99_ms: 300, gave_up_503: 0}", "most: {}", "search.most", "no goal"),
        ("latency_p99_ms: 300", "latency_p99: 300", "search.most.latency_p99", "`latency_p99_ms`"),
        ("latency_p99_ms: 300", "throughput_rps: 300", "search.most.throughput_rps", ">= 300"),
        ("latency_p99_ms: 300", "strace_connects: 3", "search.most.strace_connects", "add strace"),
        ("window_s: 4.0", "repetitions: 8", "repetitions", "blocks"),
        ("window_s: 4.0", "passes: 2", "passes", "leave it out"),
        ("window_s: 4.0", "require: {errors: '<= 0'}", "require", "goals"),
        ("window_s: 4.0", "limits: once", "limits", "compares levels"),
        ("window_s: 4.0", "verdict: {factor: clients}", "verdict", "leave it out"),
        ("window_s: 4.0", "exclude: [{clients: 10}]", "exclude.0", "not left out"),
        ("window_s: 4.0", "exclude: ['clients < 20']", "exclude.0", "not left out"),
        ("window_s: 4.0", 'window_s: "= clients / 100"', "search.short_s", "one window"),
    ],
)
def test_a_search_that_is_none_is_refused_where_it_stands(old: str, new: str, key: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(FILE.replace(old, new))

    assert caught.value.where.endswith(f", {key}")
    assert caught.value.where.startswith("x.yml, line ")
    assert said in str(caught.value)


# From results to trials.


def record(trial: Trial, figures: Figures, outcome: Outcome | None = None) -> TrialRecord:
    return TrialRecord(
        number=trial.number,
        block=trial.block,
        key=trial.key,
        directory=f"trials/{trial.directory}",
        host="local",
        levels=tuple((n, level.label) for n, level in trial.cell.levels),
        settings=trial.cell.settings,
        outcome=outcome or Outcome(trial.key, Status.COMPLETE, "", None),
        figures=figures,
        overhead_s=0.3,
        started_s=1e9 + trial.number,
        pass_number=trial.pass_number,
        watched=trial.watched,
    )


def answered(trial: Trial, number: int, rng: np.random.Generator) -> TrialRecord:
    """Return what a server with the LIMITS answers: p99 of 300 ms at its limit, and 3 % of noise."""
    level = float(trial.cell.settings["clients"])
    p99 = 300 * level / LIMITS[trial.cell.label_of("listen_backlog")] * math.exp(rng.normal(0, 0.03))
    return record(replace(trial, number=number), Figures(latency_p99_ms=p99, gave_up_503=0, throughput_rps=1000.0))


@pytest.fixture
def experiment() -> Experiment:
    return build(FILE)


def searched(run: store.RunDirectory, made: Plan, blocks: int) -> tuple[list[TrialRecord], SearchPacing]:
    with Display() as display:
        pacing = SearchPacing(Loaded(made, CATALOGUE, None), run, display, None)  # type: ignore[arg-type]  # no host
        rng = np.random.default_rng(5)
        records: list[TrialRecord] = []
        for block in range(1, blocks + 1):
            assert pacing.may_begin == block
            for trial in pacing.wanted(block, records):
                records.append(answered(trial, len(records) + 1, rng))
            if pacing.stops_after(block, records):
                break
    return records, pacing


def test_both_limits_are_found_side_by_side_and_confirmed(
    experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan.make(experiment, CATALOGUE)
    run = store.create(tmp_path, made, "x")

    records, _ = searched(run, made, 60)

    assert experiment.search is not None
    found = found_limits(experiment.search, experiment.hardest_last, experiment.places, records)
    for limit in found:
        truth = LIMITS[dict(limit.at)["listen_backlog"]]
        assert limit.known
        assert float(limit.keeps or 0) <= truth <= float(limit.misses or 0)
        assert float(limit.misses or 0) / float(limit.keeps or 1) < 1.08
        assert limit.kept_there[1] >= 2
        assert limit.missed_there[1] >= 2
    shares = [r for r in records if float(r.settings["window_s"]) == 1.0]
    assert shares, "short trials look where the limit is far"
    assert len({r.key for r in records}) == len(records)
    assert not any(r.watched for r in records), "no goal needs an instrument"
    said = capsys.readouterr().err
    assert "listen_backlog=1024: searching, between " in said
    assert "every limit is known as well as was asked" in said
    verdict = judge(analyse(records, experiment), records)
    assert verdict.answers[0].name == "Found"
    assert "listen_backlog=100: between" in verdict.answers[0].text
    assert "95 %; " in verdict.answers[0].text
    assert "answer" not in {line.topic for line in verdict.answers}, "what was found is the answer"
    told = next(line.text for line in verdict.answers if line.topic == "do")
    assert re.match(r"Plan for at most [\d,]+ clients on such a host with listen_backlog=100\. Plan for at most ", told)
    for line in verdict.answers:
        assert not ENGLISH.search(NAMES.sub("", line.told_in("ja")[1])), line.told_in("ja")[1]


def test_a_search_that_ended_early_goes_on_with_the_command_that_it_names(
    experiment: Experiment, tmp_path: Path
) -> None:
    made = plan.make(experiment, CATALOGUE)
    records, _ = searched(store.create(tmp_path, made, "x"), made, 7)

    verdict = judge(analyse(records, experiment), records, ending=Ending("./runner.py run --resume x", searching=True))

    told = next(line for line in verdict.answers if line.topic == "do")
    assert told.text == (
        "Change nothing yet: these blocks do not show the limit as well as was asked, go on with the run, "
        "`./runner.py run --resume x --until decided --budget 30m`."
    )
    assert "求められた精度" in told.told_in("ja")[1]
    running = Ending("./runner.py run --resume x", interrupted=True, running=True, searching=True)
    verdict = judge(analyse(records, experiment), records, ending=running)
    told = next(line for line in verdict.answers if line.topic == "do")
    assert told.text.endswith("the limit as well as was asked, wait for the run's end.")
    assert not ENGLISH.search(told.told_in("ja")[1])
    assert Ending("go on", interrupted=True, done=9, searching=True).lines[0].endswith("as well as is said below.")


def test_a_search_is_not_told_to_hold_back_what_it_cannot(experiment: Experiment, tmp_path: Path) -> None:
    """`limits` is refused beside `search`."""
    made = plan.make(experiment, CATALOGUE)
    records, _ = searched(store.create(tmp_path, made, "x"), made, 7)
    busy = [replace(r, figures=replace(r.figures, cgid_cpu_share=0.93, host_cpu_share=0.99)) for r in records]

    verdict = judge(analyse(busy, experiment), busy)

    told = next(line for line in verdict.answers if line.topic == "do")
    assert "which of them limits (experiments/what-limits.yml): " in told.text
    assert not ENGLISH.search(NAMES.sub("", told.told_in("ja")[1])), told.told_in("ja")[1]


def test_a_search_gets_more_blocks_and_ends_with_them(
    experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment.search is not None
    short = replace(experiment, search=replace(experiment.search, blocks=8), repetitions=Repetitions(6, 8))
    made = plan.make(short, CATALOGUE)
    run = store.create(tmp_path, made, "x")
    records, _ = searched(run, made, 60)
    assert max(r.block for r in records) == 8

    longer = extending.extended(short, More(blocks=2), run, made, records)

    run.write("plan.json", store.plan_json(plan.make(longer, CATALOGUE)))
    assert store.experiment_of(run) == longer
    assert (longer.repetitions.max, longer.repetitions.asked) == (10, (6, 8))
    records, _ = searched(run, plan.make(longer, CATALOGUE), 60)
    assert max(r.block for r in records) == 10
    assert "every limit is known" not in capsys.readouterr().err


def test_a_search_asks_nothing_of_what_its_question_names_and_holds_nothing_back() -> None:
    got = build(FILE.replace("How many?", "How many clients keep p99 below 300 ms?"))

    assert got.rule.bounds == ()
    assert got.limits is LimitTrials.OFF


def test_the_report_has_a_picture_of_each_limit_in_each_language(experiment: Experiment, tmp_path: Path) -> None:
    made = plan.make(experiment, CATALOGUE)
    records, _ = searched(store.create(tmp_path, made, "x"), made, 8)
    found = analyse(records, experiment).limits_found
    given = replace(synthetic.report_input(synthetic.synthesise(15, window_s=0.5)), searched=found)

    english, other = (report.render(replace(given, say=report.Say(language))) for language in ("en", "ja"))

    for page in (english, other):
        assert page.count('data-plot="search-') == 2
        assert 'href="#searched"' in page
        assert 'id="cost"' not in page, "it chose its levels as it went"
        assert 'data-plot="effects-' not in page
    assert "Where the limit lies" in english
    assert "the limit of clients, where each trial follows" in english
    assert "misses it" not in other
    assert "限界の位置" in other
    assert given.effects
    assert "## Effects" not in report.as_markdown(given)
    assert "## Effects" in report.as_markdown(replace(given, searched=()))


def test_the_same_results_lead_to_the_same_trials(experiment: Experiment, tmp_path: Path) -> None:
    made = plan.make(experiment, CATALOGUE)
    run = store.create(tmp_path, made, "x")
    records, pacing = searched(run, made, 4)

    third = [r.key for r in records if r.block == 3]

    assert {t.key for t in pacing.wanted(3, [r for r in records if r.block < 3])} == set(third)
    shuffled = sorted((r for r in records if r.block < 3), key=lambda r: r.key)
    assert {t.key for t in pacing.wanted(3, shuffled)} == set(third)


def test_a_goal_that_an_instrument_sees_is_tried_in_watched_trials(tmp_path: Path) -> None:
    made = plan.make(build(FILE.replace("gave_up_503: 0", "queue_full_share: 0")), CATALOGUE)
    run = store.create(tmp_path, made, "x")
    with Display() as display:
        pacing = SearchPacing(Loaded(made, CATALOGUE, None), run, display, None)  # type: ignore[arg-type]  # no host

        trials = pacing.wanted(1, [])

    assert all(t.watched and t.cell.settings["listen_queue"] for t in trials)


@pytest.mark.parametrize(
    ("figures", "outcome", "want"),
    [
        ({"latency_p99_ms": 200.0, "gave_up_503": 0}, None, False),
        ({"latency_p99_ms": 301.0, "gave_up_503": 0}, None, True),
        ({"latency_p99_ms": 200.0, "gave_up_503": 1}, None, True),
        ({"latency_p99_ms": 301.0}, None, True),
        ({"latency_p99_ms": 200.0}, None, None),
        ({}, FailureKind.SUT, True),
        ({}, FailureKind.CLIENT, None),
        ({"latency_p99_ms": 900.0, "gave_up_503": 0}, FailureKind.NOISE, None),
    ],
)
def test_a_trial_misses_keeps_or_says_nothing(
    figures: Mapping[str, float], outcome: FailureKind | None, want: object, experiment: Experiment, tmp_path: Path
) -> None:
    made = plan.make(experiment, CATALOGUE)
    run = store.create(tmp_path, made, "x")
    with Display() as display:
        pacing = SearchPacing(Loaded(made, CATALOGUE, None), run, display, None)  # type: ignore[arg-type]  # no host
        trial = pacing.wanted(1, [])[0]
    ended = None if outcome is None else Outcome(trial.key, Status.INVALID, "why", outcome)
    assert experiment.search is not None

    got = misses(experiment.search, record(trial, Figures(**figures), ended))  # type: ignore[arg-type]  # as named above

    assert got is want


# What is believed.


def test_a_limit_beyond_an_end_is_said_to_be_there() -> None:
    search = Search([10, 20, 40, 80], exceed=0.5, precision=0.05)

    search.learn([Probe(("h", b), 3, missed=False) for b in range(12)])

    assert search.interval() == (3, None)
    assert search.over


def test_a_search_that_was_misled_by_one_trial_comes_back() -> None:
    search = Search([float(n) for n in range(10, 100)], exceed=0.5, precision=0.05)
    search.learn([Probe(("h", 0), 20, missed=True)])

    search.learn([Probe(("h", b), 20 + 2 * b, missed=b > 15) for b in range(1, 25)])

    low, high = search.interval()
    assert low is not None
    assert low > 30
    assert high is not None


def test_of_simulated_searches_most_hold_the_limit() -> None:
    rng = np.random.default_rng(3)
    held = trials = 0
    for _ in range(12):
        server = simulated.Server(float(rng.uniform(15, 1500)), 0.03, np.zeros(simulated.MOST_BLOCKS), rng)
        found = simulated.searched(server)
        held += found.low <= server.limit <= found.high
        trials += found.trials

    assert held >= 11
    assert trials / 12 < 654 / 3
