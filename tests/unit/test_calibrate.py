"""Controls pass for witnesses that saw what was done, and fail for those that did not."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cgidlab import calibrate, figures
from cgidlab.calibrate import ControlTrial, Row, State
from cgidlab.design import catalogue
from cgidlab.instruments import WITNESSES
from cgidlab.instruments.controls import Kind
from cgidlab.model import FailureKind, Figures, Outcome, Plan, Status, TrialRecord
from cgidlab.runs import proven

ROOT = Path(__file__).parents[2]
NAMES = [w.name for w in WITNESSES]
CATALOGUE = catalogue.load(ROOT / "roles")
QUIET = {
    "errors": 0,
    "queue_full_share": 0.0,
    "workers_in_connect_max": 0,
    "workers_in_connect_mean": 0.0,
    "connects_refused": 0,
    "connects_turned_away": 0,
    "connects_failed_other": 0,
    "connect_p99_us": 20.0,
    "connect_max_us": 90.0,
    "retries_in_window": 0,
    "retries_refused_in_window": 0,
    "retries_enoent_in_window": 0,
    "gave_up_503": 0,
    "cgid_restarts": 0,
}
# What real trials showed on a busy machine, the faults lasting as long as the plan says.
SEEN: Mapping[str, Mapping[str, float]] = {
    "full queue": {
        "requests": 1072,
        "queue_limit": 5,
        "queue_depth_max": 6,
        "queue_full_share": 0.893,
        "workers_in_connect_max": 60,
        "workers_in_connect_mean": 49.0,
        "connect_max_us": 1_642_292.0,
    },
    "refused": {
        "requests": 600,
        "errors": 117,
        "queue_limit": 1024,
        "queue_depth_max": 117,
        "connects_refused": 220,
        "retries_in_window": 220,
        "retries_refused_in_window": 220,
        "gave_up_503": 117,
        "cgid_restarts": 1,
    },
    "missing socket": {
        "requests": 700,
        "queue_limit": 1024,
        "queue_depth_max": 119,
        "connects_failed_other": 240,
        "retries_in_window": 240,
        "retries_enoent_in_window": 240,
    },
    "light load": {"requests": 485, "queue_limit": 1024, "queue_depth_max": 3, "connects": 966},
}
COMPLETE = Outcome("", Status.COMPLETE, "", None)


def plan(*, controls_only: bool = True) -> Plan:
    return calibrate.make_plan(CATALOGUE, target="local", httpds=["distro"], controls_only=controls_only)


def observations(
    change: Callable[[str, Figures], Figures] = lambda _control, seen: seen,
    unavailable: Mapping[str, str] | None = None,
) -> list[ControlTrial]:
    """Return the controls' trials as a good host shows them, their figures changed."""
    found = []
    for trial in plan().trials:
        control = trial.cell.label_of("control")
        figures = change(control, Figures(**{**QUIET, **SEEN[control]}))  # type: ignore[arg-type]  # names with their numbers
        found.append(ControlTrial(_record(trial.number, 1, control, trial.cell.settings, figures), unavailable or {}))
    return found


def _record(
    number: int, block: int, control: str, settings: Mapping[str, bool | int | float | str], figures: Figures
) -> TrialRecord:
    return TrialRecord(number, block, "", "", "local", (("control", control),), settings, COMPLETE, figures, None, None)


def failed(rows: Sequence[Row]) -> set[tuple[str, str]]:
    return {(r.control, r.witness) for r in rows if r.state is State.FAIL}


def blank(witness: str) -> Callable[[str, Figures], Figures]:
    return lambda _control, seen: replace(seen, **dict.fromkeys(figures.of(witness)))


def test_every_row_passes_on_what_a_good_host_shows() -> None:
    rows = calibrate.judge(observations())

    assert {r.state for r in rows} == {State.PASS}
    assert calibrate.proven(calibrate.witnesses(rows)) == set(NAMES)


@pytest.mark.parametrize("witness", NAMES)
def test_a_witness_that_ran_and_gave_no_figure_fails_everywhere_and_is_not_proven(witness: str) -> None:
    rows = calibrate.judge(observations(blank(witness)))

    assert {r.state for r in rows if r.witness == witness} == {State.FAIL}
    assert witness not in calibrate.proven(calibrate.witnesses(rows))


@pytest.mark.parametrize("witness", [n for n in NAMES if n != "error_log"])
def test_a_witness_that_cannot_run_is_unavailable_with_its_reason_and_not_proven(witness: str) -> None:
    rows = calibrate.judge(observations(blank(witness), {witness: "bpf needs root"}))

    own = [r for r in rows if r.witness == witness]
    assert {(r.state, r.reason) for r in own} == {(State.UNAVAILABLE, "bpf needs root")}
    assert not failed(rows)
    assert witness not in calibrate.proven(calibrate.witnesses(rows))


BROKEN: dict[str, tuple[dict[str, float], set[tuple[str, str]]]] = {
    "a queue that is always empty": (
        {"queue_depth_max": 0, "queue_full_share": 0.0},
        {("full queue", "listen_queue")},
    ),
    "a queue that is always full": (
        {"queue_depth_max": 1025, "queue_full_share": 1.0},
        {(c, "listen_queue") for c in SEEN},
    ),
    "a queue that counts one too few": ({"queue_depth_max": 5}, {("full queue", "listen_queue")}),
    "sleepers that are never seen": (
        {"workers_in_connect_max": 0, "workers_in_connect_mean": 0.0},
        {("full queue", "worker_states")},
    ),
    "sleepers seen for a moment only": ({"workers_in_connect_mean": 2.0}, {("full queue", "worker_states")}),
    "more sleepers than clients": (
        {"workers_in_connect_max": 100},
        {(c, "worker_states") for c in SEEN},
    ),
    "connects that are always quick": ({"connect_max_us": 90.0}, {("full queue", "connect_times")}),
    "connects that are always slow": (
        {"connect_p99_us": 2e6, "connect_max_us": 2e6},
        {("light load", "connect_times")},
    ),
    "refusals that are never seen": ({"connects_refused": 0}, {("refused", "connect_times")}),
    "refusals that are not in the log": (
        {"retries_refused_in_window": 0},
        {("refused", "error_log"), ("refused", "connect_times")},
    ),
    "retries out of nowhere": (
        {"retries_in_window": 7},
        {("full queue", "error_log"), ("light load", "error_log")},
    ),
    "a missing socket that is never seen": ({"retries_enoent_in_window": 0}, {("missing socket", "error_log")}),
    "a daemon that never changes": ({"cgid_restarts": 0}, {("refused", "cgid_daemon")}),
    "a daemon that always changes": (
        {"cgid_restarts": 1},
        {(c, "cgid_daemon") for c in ("full queue", "missing socket", "light load")},
    ),
    "answers that never came after the thaw": ({"errors": 3}, {("full queue", "load")}),
}


@pytest.mark.parametrize(("lie", "want"), BROKEN.values(), ids=list(BROKEN))
def test_a_witness_that_lies_fails_where_it_lies_and_nowhere_else(
    lie: dict[str, float], want: set[tuple[str, str]]
) -> None:
    def lying(_control: str, figures: Figures) -> Figures:
        return replace(figures, **lie)  # type: ignore[arg-type]  # names with their numbers

    assert failed(calibrate.judge(observations(lying))) == want


@pytest.mark.parametrize(("asleep", "want"), [(52, State.FAIL), (53, State.PASS), (60, State.PASS), (61, State.FAIL)])
def test_all_workers_sleep_but_those_with_a_place_in_the_queue_and_the_one_accepted(asleep: int, want: State) -> None:
    rows = calibrate.judge(observations(lambda _c, f: replace(f, workers_in_connect_max=asleep)))

    assert next(r for r in rows if r.control == "full queue" and r.witness == "worker_states").state is want


def test_an_httpd_that_answers_503_at_once_has_no_enoent_retry_to_show() -> None:
    rows = calibrate.judge(observations(lambda _c, f: replace(f, retries_enoent_in_window=0, gave_up_503=240)))

    row = next(r for r in rows if r.control == "missing socket" and r.witness == "error_log")
    assert (row.state, row.reason) == (State.UNAVAILABLE, "this httpd does not retry without a socket")
    assert "error_log" in calibrate.proven(calibrate.witnesses(rows)), "its other controls prove it"


@pytest.mark.parametrize(
    ("outcome", "want"),
    [
        pytest.param(Outcome("", Status.FAILED, "no httpd", FailureKind.SUT), State.FAIL, id="failed"),
        pytest.param(Outcome("", Status.INVALID, "workers", FailureKind.TREATMENT), State.FAIL, id="other settings"),
        pytest.param(Outcome("", Status.INVALID, "clients gave up", FailureKind.CLIENT), State.PASS, id="clients"),
    ],
)
def test_a_trial_proves_something_only_if_the_fault_was_really_there(outcome: Outcome, want: State) -> None:
    seen = observations()
    seen = [replace(o, record=replace(o.record, outcome=outcome)) if o.control == "refused" else o for o in seen]

    rows = [r for r in calibrate.judge(seen) if r.control == "refused"]

    assert {r.state for r in rows} == {want}
    assert all(outcome.reason in r.reason for r in rows if want is State.FAIL)


def test_the_second_try_of_a_trial_that_failed_is_the_one_that_counts() -> None:
    lost = Outcome("", Status.FAILED, "did not come home", FailureKind.INFRA)
    good = observations()
    first = [replace(o, record=replace(o.record, outcome=lost, figures=Figures())) for o in good]
    second = [replace(o, record=replace(o.record, number=o.record.number + 34)) for o in good]

    assert not failed(calibrate.judge([*second, *first]))


def _observed(ratio: float, spread: float) -> list[Row]:
    trials = [t for t in plan(controls_only=False).trials if t.block > 1]
    seen = []
    for trial in trials:
        control = trial.cell.label_of("control")
        noise = math.exp(spread * (-1) ** trial.block)
        rate = 1000.0 * 1.3**trial.block * (ratio * noise if control == "listen_queue" else 1.0)
        record = _record(trial.number, trial.block, control, trial.cell.settings, Figures(throughput_rps=rate))
        seen.append(ControlTrial(record, {}))
    return [r for r in calibrate.judge(seen) if r.kind is Kind.COST]


@pytest.mark.parametrize(
    ("ratio", "spread", "want"),
    [
        pytest.param(1.0, 0.01, State.PASS, id="free"),
        pytest.param(0.8, 0.01, State.FAIL, id="certainly dear"),
        pytest.param(0.8, 0.5, State.PASS, id="perhaps dear"),
    ],
)
def test_an_instrument_fails_only_if_its_cost_is_certain(ratio: float, spread: float, want: State) -> None:
    rows = {r.witness: r for r in _observed(ratio, spread)}

    assert rows["listen_queue"].state is want
    assert f"ratio {ratio:.3f}" in rows["listen_queue"].found
    assert {rows[w].state for w in rows if w != "listen_queue"} == {State.PASS}, "drift over blocks is no cost"


def test_each_block_of_the_observer_effect_has_every_instrument_alone_and_none() -> None:
    trials = plan(controls_only=False).trials

    blocks = {b: [t.cell for t in trials if t.block == b] for b in range(2, 8)}
    names = ("listen_queue", "worker_states", "connect_times", "cgid_daemon", "host")
    want = {(), ("listen_queue",), ("worker_states",), ("connect_times",), ("cgid_daemon", "host")}
    for cells in blocks.values():
        assert {tuple(n for n in names if c.settings[n]) for c in cells} == want
    assert len({tuple(c.id for c in cells) for cells in blocks.values()}) > 1, "the order changes"
    assert len({t.number for t in trials}) == len({t.key for t in trials}) == len(trials)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("[..] AH10246: stderr from /x/hello: failed reading PID from cgi daemon", (True, True)),
        ("[..] AH01258: cgid daemon is gone; is Apache terminating?: /x/hello", (True, False)),
        ("[..] unable to connect to cgi daemon after multiple tries: /x/hello", (False, False)),
        ("[..] AH00094: Command line: httpd", (None, None)),
    ],
)
def test_the_form_of_messages_is_read_from_the_log(line: str, want: tuple[bool | None, bool | None]) -> None:
    facts = calibrate.httpd_facts(observations(), ["something else", line])

    assert (facts["ah_numbers"], facts["stderr_from"]) == want
    assert facts["connects_per_request"] == 1.99
    assert facts["retries_on_enoent"] is True


def test_every_fault_that_an_experiment_may_name_is_one_the_helper_can_do() -> None:
    from cgidhost import blockfile  # noqa: PLC0415 -- the helper's own package, for this test alone

    choices = set(CATALOGUE.options["fault"].choices)

    assert choices - {"none"} == set(blockfile.ACTIONS)


KEY = {"machine_id_sha256": "m", "kernel": "6.1", "helper": "h"}
PASSED = {name: {"positive": "passed", "negative": "passed"} for name in NAMES}


def _keep(results: Path, name: str, **changes: object) -> None:
    directory = results / "calibration" / name
    directory.mkdir(parents=True)
    entry = {"host": "local", **KEY, "witnesses": PASSED, **changes}
    (directory / "calibration.json").write_text(json.dumps({"schema_version": 1, "hosts": [entry]}))


def test_a_calibration_counts_for_the_same_machine_kernel_and_helper_alone(tmp_path: Path) -> None:
    for part in KEY:
        _keep(tmp_path, f"other-{part}", **{part: "another"})
    (tmp_path / "calibration" / "torn").mkdir()
    (tmp_path / "calibration" / "torn" / "calibration.json").write_text('{"schema_version": 1, "ho')
    wanted = frozenset({"listen_queue"})

    before = proven.standing(tmp_path, KEY)
    _keep(tmp_path, "own")
    after = proven.standing(tmp_path, KEY)

    assert (before.run, before.proven, before.settled(wanted)) == (None, frozenset(), False)
    assert (after.run, after.settled(wanted)) == ("own", True)


def test_once_proven_is_proven_and_a_failure_asks_for_another_calibration(tmp_path: Path) -> None:
    blind = {**PASSED, "listen_queue": {"positive": "failed", "negative": "passed"}}
    wanted = frozenset({"listen_queue", "error_log"})

    _keep(tmp_path, "1", witnesses=blind)
    assert not proven.standing(tmp_path, KEY).settled(wanted)
    _keep(tmp_path, "2")
    _keep(tmp_path, "3", witnesses=blind)

    assert proven.standing(tmp_path, KEY).settled(wanted)


def test_a_witness_that_cannot_run_here_is_settled_without_being_proven(tmp_path: Path) -> None:
    none = {**PASSED, "connect_times": {"positive": "unavailable", "negative": "unavailable"}}
    _keep(tmp_path, "1", witnesses=none)

    found = proven.standing(tmp_path, KEY)

    assert found.settled(frozenset({"connect_times"}))
    assert "connect_times" not in found.proven


def test_figures_of_an_unproven_witness_are_not_counted_and_it_is_named() -> None:
    rows = [o.record for o in observations()]
    blind = {**PASSED, "listen_queue": {"positive": "failed", "negative": "passed"}}

    counted, notes = proven.counted(rows, {"hosts": {"local": {"run": "r", "witnesses": blind}}})

    assert {r.figures.queue_depth_max for r in counted} == {None}
    assert [r.figures.workers_in_connect_max for r in counted] == [r.figures.workers_in_connect_max for r in rows]
    assert notes == ("listen_queue is not proven on local (its controls did not pass) and is not counted",)


def test_a_host_that_was_never_calibrated_has_no_proven_witness() -> None:
    rows = [o.record for o in observations()]

    counted, notes = proven.counted(rows, {"hosts": {}})

    assert {r.figures.connects_refused for r in counted} == {None}
    assert len(notes) == len(NAMES)


@pytest.mark.parametrize(("calibration", "want"), [(None, 0), ({"skipped": True}, 1)], ids=["an old run", "told to"])
def test_without_calibration_everything_is_counted_and_said(calibration: dict[str, bool] | None, want: int) -> None:
    rows = tuple(o.record for o in observations())

    counted, notes = proven.counted(rows, calibration)

    assert counted == rows
    assert len(notes) == want
