"""What a run has to show: how a file says it, when it is met with confidence, and what the outcome is then."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgidlab import junit
from cgidlab.analysis.analyse import analyse, decide
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.thresholds import Fulfilment, Shown, thresholds_shown
from cgidlab.design import beside, plan
from cgidlab.engine import running
from cgidlab.errors import SpecError
from cgidlab.model import Figures, Repetitions, Required, Threshold, TrialRecord, VerdictRule
from cgidlab.runs import concluding, store
from cgidlab.verdict import judge, requiring
from scripts import make_synthetic_run as synthetic
from tests.unit import trial_records
from tests.unit.test_spec import CATALOGUE, GOOD, build
from tests.unit.trial_records import THROUGHPUT

LOADED = {"listen_backlog": "100", "clients": "200"}
P99 = Threshold("latency_p99_ms", "<=", 300.0)


def shown(required: Required, records: Sequence[TrialRecord], looks: tuple[int, ...] = (6,)) -> list[Shown]:
    return [f.state for f in thresholds_shown(required, records, looks)]


def tails(values: Sequence[float]) -> list[TrialRecord]:
    return [trial_records.trial(b, Figures(latency_p99_ms=v), LOADED) for b, v in enumerate(values, start=1)]


def counts(values: Sequence[int]) -> list[TrialRecord]:
    return [trial_records.trial(b, Figures(errors=v), LOADED) for b, v in enumerate(values, start=1)]


# The file.


def test_what_is_required_is_read_and_kept_in_the_plan(tmp_path: Path) -> None:
    text = GOOD.replace("workers: 400", "workers: 256").replace(
        "repetitions: 6",
        "repetitions: 24\nrequire: {latency_p99_ms: '<= 300', queue_full_share: '<= 5%', overflow: moment,"
        " at: {clients: 200}}",
    )
    want = Required((P99, Threshold("queue_full_share", "<=", 0.05)), "moment", (("clients", "200"),))

    got = build(text)

    assert got.rule.required == want
    run = store.create(tmp_path, plan.make(got, CATALOGUE), "x")
    assert store.experiment_of(run) == got


@pytest.mark.parametrize(
    ("entry", "key", "fix"),
    [
        ("{latency_p99: '<= 300'}", "require.latency_p99", "`latency_p99_ms`"),
        ("{latency_p99_ms: 300}", "require.latency_p99_ms", "<= NUMBER"),
        ("{latency_p99_ms: '< 300'}", "require.latency_p99_ms", "<= NUMBER"),
        ("{latency_p99_ms: '<= nan'}", "require.latency_p99_ms", "<= NUMBER"),
        ("{latency_p99_ms: '<= 300%'}", "require.latency_p99_ms", "<= 300"),
        ("{latency_p99_ms: {max: 300}}", "require.latency_p99_ms", "<= 300"),
        ("{overflow: none}", "require.overflow", "`not_observed`"),
        ("{overflow: not_observed}", "require.overflow", "watch_every: 1"),
        ("{overflw: not_observed}", "require.overflw", "`overflow`"),
        ("{strace_connects: '>= 1'}", "require.strace_connects", "add strace"),
        ("{driver_headroom_share: '<= 0.5'}", "require.driver_headroom_share", "see which"),
        ("{errors: '<= 0', at: {client: 50}}", "require.at.client", "`clients`"),
        ("{errors: '<= 0', at: {clients: 60}}", "require.at.clients", "`50`"),
        ("{errors: '<= 0', at: {}}", "require.at", "remove"),
        ("{errors: '<= 0', at: 50}", "require.at", "LEVEL"),
        ("{at: {clients: 50}}", "require", "name a figure"),
    ],
)
def test_what_cannot_be_required_is_refused_where_it_stands(entry: str, key: str, fix: str) -> None:
    text = GOOD.replace("repetitions: 6", f"repetitions: 8\nrequire: {entry}")

    with pytest.raises(SpecError) as caught:
        build(text)

    assert caught.value.where == f"x.yml, line 12, {key}"
    assert fix in caught.value.fix


def test_too_few_blocks_for_any_claim_are_refused() -> None:
    with pytest.raises(SpecError, match="only 5 of 5 blocks have a pass that answers"):
        build(GOOD.replace("repetitions: 6", "repetitions: 5\nrequire: {errors: '<= 0'}"))


def test_levels_that_the_outcome_rests_on_are_not_left_out() -> None:
    text = GOOD.replace("repetitions: 6", "repetitions: 6\nrequire: {errors: '<= 0', at: {clients: 200}}")

    with pytest.raises(SpecError, match="every level of clients"):
        build(text, only=[("clients", ("50",))])
    assert build(text, only=[("clients", ("200",))]).rule.required.at == (("clients", "200"),)


def test_an_old_build_beside_the_new_one_is_asked_for_nothing() -> None:
    experiment = build(GOOD.replace("repetitions: 6", "repetitions: 6\nrequire: {errors: '<= 0'}"))

    both = beside.with_old(experiment, "distro", "0123456789abcdef")

    assert both.rule.required.at == (("httpd", "distro"),)


# What is shown.


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([210, 220, 215, 205, 212, 208], Shown.MET),
        ([410, 420, 415, 405, 412, 408], Shown.MISSED),
        ([290, 320, 315, 285, 312, 288], Shown.UNDECIDED),
        ([210, 220, 215, 205, 212], Shown.UNDECIDED),
        ([], Shown.UNDECIDED),
    ],
    ids=["below", "above", "both", "five blocks", "no trial has it"],
)
def test_a_figure_is_met_only_with_confidence(values: Sequence[float], want: Shown) -> None:
    records = tails(values) or counts([0] * 6)

    assert shown(Required((P99,)), records) == [want]


@pytest.mark.parametrize(("waiting", "want"), [(0, Shown.MET), (50, Shown.UNDECIDED)])
def test_a_tail_that_windows_cut_short_is_no_promise_kept(waiting: int, want: Shown) -> None:
    """In two of eight windows 50 of 1,550 requests still waited, longer than the p99."""
    records = [
        replace(r, figures=replace(r.figures, requests=1500, waiting_beyond_p99=waiting if r.block <= 2 else 0))
        for r in tails([210, 220, 215, 205, 212, 208, 211, 209])
    ]
    slow = [replace(r, figures=replace(r.figures, latency_p99_ms=900.0)) for r in records]

    (found,) = thresholds_shown(Required((P99,)), records, (6,))

    assert found.state is want
    assert ("in 2 of 8 requests had waited longer" in found.why) is bool(waiting)
    assert shown(Required((P99,)), slow) == [Shown.MISSED], "a lower bound that lies beyond it shows that"


def test_a_rate_that_has_to_be_reached_is_the_other_way_round() -> None:
    least = Threshold("throughput_rps", ">=", 1000.0)
    records = [trial_records.trial(b, Figures(throughput_rps=1100.0 + b), LOADED) for b in range(1, 9)]

    assert shown(Required((least,)), records) == [Shown.MET]
    assert shown(Required((replace(least, bound=1200.0),)), records) == [Shown.MISSED]


@pytest.mark.parametrize(
    ("values", "want"),
    [([0] * 8, Shown.MET), ([0] * 5, Shown.UNDECIDED), ([0, 0, 0, 1, 0, 0, 0, 0], Shown.MISSED)],
    ids=["never", "too few to say never", "once"],
)
def test_a_count_is_required_of_every_trial(values: Sequence[int], want: Shown) -> None:
    assert shown(Required((Threshold("errors", "<=", 0.0),)), counts(values)) == [want]


def test_only_the_cells_that_are_named_are_asked() -> None:
    slow = [trial_records.trial(b, Figures(latency_p99_ms=900.0), {**LOADED, "clients": "400"}) for b in range(1, 9)]
    records = [*tails([200.0 + b for b in range(8)]), *slow]

    assert shown(Required((P99,), at=(("clients", "200"),)), records) == [Shown.MET]
    assert shown(Required((P99,)), records) == [Shown.MET, Shown.MISSED]


@pytest.mark.parametrize("looks", [(8,), (6, 8, 10, 12)], ids=["one look", "four looks"])
def test_of_runs_at_the_threshold_few_claim_that_it_is_kept_or_missed(looks: tuple[int, ...]) -> None:
    """The truth is the threshold itself, so that each claim is false by a hair: 5 % of each, whichever look ends it."""
    rng = np.random.default_rng(1)
    runs, met, missed = 200, 0, 0
    for _ in range(runs):
        values = 300 * np.exp(rng.normal(0, 0.08, looks[-1]))
        states = [shown(Required((P99,)), tails(values[:n].tolist()), looks)[0] for n in looks]
        met += Shown.MET in states
        missed += Shown.MISSED in states

    most = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert met / runs < most
    assert missed / runs < most


def test_of_many_cells_at_the_threshold_the_claim_that_one_misses_it_stays_as_rare() -> None:
    rng = np.random.default_rng(3)
    runs, cells, missed = 100, 8, 0
    for _ in range(runs):
        records = [
            trial_records.trial(b, Figures(latency_p99_ms=float(v)), {**LOADED, "clients": str(cell)})
            for cell in range(cells)
            for b, v in enumerate(300 * np.exp(rng.normal(0, 0.08, 8)), start=1)
        ]
        missed += Shown.MISSED in shown(Required((P99,)), records, (8,))

    assert missed / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_a_run_goes_on_while_a_requirement_is_undecided() -> None:
    repetitions = Repetitions(6, 12)
    rng = np.random.default_rng(2)
    logs = {(b, "200"): np.log(1000) + rng.normal(0, 0.002, 6) for b in ("100", "1024")}
    records = trial_records.run(logs)
    rule = VerdictRule("listen_backlog", "100", (THROUGHPUT,))
    near = replace(rule, required=Required((Threshold("throughput_rps", ">=", 1000.0),)))
    far = replace(rule, required=Required((Threshold("throughput_rps", ">=", 900.0),)))

    assert decide(records, rule, repetitions).stop
    assert decide(records, far, repetitions).stop
    going_on = decide(records, near, repetitions)
    assert not going_on.stop
    assert "undecided" in going_on.reason
    assert planned_looks(repetitions)[0] == 6


def test_a_run_with_nothing_to_compare_ends_when_what_it_requires_is_decided() -> None:
    rng = np.random.default_rng(2)
    records = trial_records.run({("100", "200"): np.log(1000) + rng.normal(0, 0.002, 6)})
    rule = VerdictRule("listen_backlog", "100", (THROUGHPUT,))
    far, near = (replace(rule, required=Required((Threshold("throughput_rps", ">=", v),))) for v in (900.0, 1000.0))

    ended, going_on = (decide(records, r, Repetitions(6, 12)) for r in (far, near))
    assert (ended.stop, ended.reason) == (True, "every requirement is decided after 6 blocks")
    assert (going_on.stop, going_on.reason) == (False, "6 blocks are done; 1 requirement undecided")
    assert not decide(records, rule, Repetitions(6, 12)).stop, "nothing that could be decided was asked"


def test_an_overflow_that_must_not_be_is_missed_and_named_first() -> None:
    full = Figures(
        throughput_rps=1000.0,
        queue_limit=100,
        queue_depth_max=101,
        queue_full_share=0.5,
        workers_in_connect_mean=20.0,
        workers_in_connect_max=50,
    )
    records = [trial_records.trial(b, full, LOADED) for b in range(1, 9)]
    rule = VerdictRule("listen_backlog", "100", (THROUGHPUT,), required=Required(overflow="not_observed"))
    run = trial_records.experiment(records, rule, Repetitions(8, 8))

    verdict = judge(analyse(records, run), records)

    assert [f.state for f in verdict.required] == [Shown.MISSED]
    assert verdict.answers[0].name == "Required"
    assert verdict.answers[0].text.startswith(
        "NOT MET: overflow not_observed at listen_backlog=100, clients=200: it overflowed in 8 of 8 watched trials."
    )


# The outcome.


def test_junit_has_a_case_for_each_and_undecided_is_no_pass() -> None:
    place = (("listen_backlog", "<100>"),)
    found = [
        Fulfilment("errors <= 0", place, Shown.MET, "so in all 8 trials"),
        Fulfilment("latency_p99_ms <= 300 ms", place, Shown.MISSED, "410 ms\x1b[31m"),
        Fulfilment("overflow not_observed", place, Shown.UNDECIDED, "no witness"),
    ]

    suite = ET.fromstring(junit.suite("sweep", requiring.cases(found), "run-1"))[0]  # noqa: S314 -- made one line above

    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [[f.get("type") for f in case.findall("failure")] for case in suite.iter("testcase")] == [
        [],
        ["missed"],
        ["undecided"],
    ]
    assert next(case.get("name") for case in suite.iter("testcase")) == "errors <= 0 at listen_backlog=<100>"


@pytest.mark.parametrize(
    ("require", "status"),
    [
        ("{throughput_rps: '>= 100', at: {clients: 50}}", 0),
        ("{throughput_rps: '>= 100000'}", 5),
        ("{errors: '<= 0'}", 0),
    ],
)
def test_a_run_that_does_not_show_what_is_required_ends_with_status_5(
    require: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped = require.replace("{", "{{").replace("}", "}}")
    monkeypatch.setattr(synthetic, "EXPERIMENT", f"{synthetic.EXPERIMENT}watch_every: 1\nrequire: {escaped}\n")
    run = store.RunDirectory(synthetic.write(synthetic.synthesise(15 * 8, window_s=0.5), tmp_path))
    met = status == 0

    concluded = concluding.conclude(run)

    assert concluded.required is met
    assert running._exit_code(concluded, whole=True) == status  # noqa: SLF001 -- the one place that knows it
    assert running._exit_code(concluded, whole=False) == (4 if met else 5)  # noqa: SLF001 -- same
    first = next(line for line in concluded.text.splitlines()[1:] if line)
    assert first.startswith(f"Required    {'MET' if met else 'NOT MET'}: ")
    suite = ET.parse(run.path / "junit.xml").getroot()[0]  # noqa: S314 -- made one line above
    assert (suite.get("failures") == "0") is met
    assert {f["state"] for f in run.read("summary.json")["required"]} == ({"met"} if met else {"missed"})
    assert concluding.as_text(run, "junit")[0].startswith("<?xml")


def test_junit_of_an_experiment_that_requires_nothing_is_refused(tmp_path: Path) -> None:
    run = store.RunDirectory(synthetic.write(synthetic.synthesise(15), tmp_path))

    assert concluding.conclude(run).required is None
    assert not (run.path / "junit.xml").exists()
    with pytest.raises(SpecError, match="requires nothing"):
        concluding.as_text(run, "junit")
