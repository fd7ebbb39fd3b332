"""What limits is said of slots whose truth is known: intervals that hold it, and words that follow from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.limiting import KINDS, NS, TRUTH, performed, slots
from cgidlab.analysis.intervals import Interval
from cgidlab.analysis.interventions import LimitsShown, LimitWord, Performed, shown, word_for
from cgidlab.design.limiting import SLOTS
from cgidlab.errors import StoreError
from cgidlab.parsers.interventions import InterventionSlot, read_slots
from cgidlab.verdict import shown as words


@pytest.fixture(scope="module")
def many() -> list[LimitsShown]:
    return [shown(performed(seed)) for seed in range(200)]


@pytest.mark.parametrize("component", TRUTH)
def test_an_elasticitys_interval_holds_the_truth_as_often_as_it_says(many: list[LimitsShown], component: str) -> None:
    held = [h for one in many for h in one.held if h.component == component]

    hits = [h.interval.holds(TRUTH[component]) for h in held if h.interval is not None]

    assert len(hits) == len(many)
    assert 0.92 <= np.mean(hits) <= 0.99
    assert np.mean([h.elasticity for h in held]) == pytest.approx(TRUTH[component], abs=0.03)


@pytest.mark.parametrize(
    ("component", "right", "wrong"),
    [
        ("cgid daemon", LimitWord.LIMITS, {LimitWord.DOES_NOT, LimitWord.IN_PART}),
        ("driver", LimitWord.DOES_NOT, {LimitWord.LIMITS, LimitWord.IN_PART}),
        ("host CPU", LimitWord.IN_PART, {LimitWord.LIMITS, LimitWord.DOES_NOT}),
    ],
)
def test_a_word_is_right_mostly_and_wrong_hardly_ever(
    many: list[LimitsShown], component: str, right: LimitWord, wrong: set[LimitWord]
) -> None:
    said = [one.word_of(component) for one in many]

    assert np.mean([w is right for w in said]) > 0.5
    assert np.mean([w in wrong for w in said]) <= 0.025


def test_two_controls_accuse_a_trial_in_which_nothing_is_wrong_hardly_ever(many: list[LimitsShown]) -> None:
    assert np.mean([one.reason != "" for one in many]) <= 0.03


def test_a_control_that_changes_throughput_leaves_nothing_known() -> None:
    found = shown(performed(first={"signals": -0.3}))

    assert "signals changed throughput by -" in found.reason
    assert {h.word for h in found.held} == {LimitWord.UNKNOWN}
    assert {h.reason for h in found.held} == {found.reason}


def test_what_letting_the_daemon_go_first_gains_is_said_with_an_interval() -> None:
    found = shown(performed(first={"daemon_nice": 0.2}, scatter=0.3))

    nice = next(e for e in found.first if e.name == "daemon_nice")
    assert nice.interval.low < 1.2 < nice.interval.high
    assert nice.interval.low > 1.1


def test_of_two_ways_to_let_the_daemon_go_first_the_better_one_is_said_first() -> None:
    found = shown(performed(first={"daemon_fifo": -0.2, "daemon_nice": 0.2}, scatter=0.1))

    assert [name for name, _ in words.gains([found])] == ["the daemon at nice -10", "the daemon in real time"]


def test_one_disturbed_slot_does_not_make_the_answer() -> None:
    calm = performed(scatter=0.2)
    n = next(i for i, s in enumerate(calm.slots) if s.name == "stopped_driver")
    begin, end = calm.slots[n].begin_ns, calm.slots[n].end_ns
    gone = (calm.answered_ns >= begin) & (calm.answered_ns < end) & (np.arange(len(calm.answered_ns)) % 2 == 0)

    found = shown(replace(calm, answered_ns=calm.answered_ns[~gone]))

    assert found.word_of("driver") is LimitWord.DOES_NOT


def test_an_intervention_that_scatters_by_itself_has_its_own_spread() -> None:
    calm = performed(scatter=0.1)
    restless = [n for n, s in enumerate(calm.slots) if s.name == "stopped_driver"]
    kept = np.ones(len(calm.answered_ns), dtype=bool)
    for place, n in enumerate(restless):
        inside = (calm.answered_ns >= calm.slots[n].begin_ns) & (calm.answered_ns < calm.slots[n].end_ns)
        kept &= ~(inside & (np.arange(len(kept)) % 4 == 0)) if place % 2 else True

    def width(one: Performed, component: str) -> float:
        held = next(h for h in shown(one).held if h.component == component)
        assert held.interval is not None
        return held.interval.high - held.interval.low

    disturbed = replace(calm, answered_ns=calm.answered_ns[kept])
    assert width(disturbed, "driver") > 1.5 * width(disturbed, "cgid daemon")


def test_a_slot_beside_one_that_was_not_untouched_is_compared_with_nothing() -> None:
    made = slots(1)
    late = [replace(s, name="stopped_daemon", dose=0.2, asked=0.2) if n in (4, 10) else s for n, s in enumerate(made)]
    beside = [made[n].name for n in (3, 5, 9, 11)]

    found, before = shown(performed(of=late)), shown(performed(of=made))

    def slots_of(one: LimitsShown, name: str) -> int:
        every = [*one.first, *one.controls, *(e for h in one.held for e in h.effects)]
        return sum(e.slots for e in every if e.name == name)

    for name in {k.name for k in KINDS}:
        assert slots_of(found, name) == slots_of(before, name) - beside.count(name)


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0.7, 1.2, LimitWord.LIMITS),
        (0.69, 1.2, LimitWord.UNKNOWN),
        (-0.1, 0.2, LimitWord.DOES_NOT),
        (-0.1, 0.21, LimitWord.UNKNOWN),
        (0.21, 0.69, LimitWord.IN_PART),
        (0.1, 0.9, LimitWord.UNKNOWN),
    ],
)
def test_an_interval_across_a_border_says_nothing(low: float, high: float, want: LimitWord) -> None:
    assert word_for(Interval(low, high)) is want


def test_what_a_host_cannot_hold_back_is_not_known_with_its_reason() -> None:
    refused = tuple(replace(k, reason="Operation not permitted") if k.name == "taken_cpu" else k for k in KINDS)
    made = [s for s in slots(1) if s.name != "taken_cpu"]

    found = shown(replace(performed(of=made), kinds=refused))

    cpu = next(h for h in found.held if h.component == "host CPU")
    assert (cpu.word, cpu.reason) == (LimitWord.UNKNOWN, "Operation not permitted")
    assert found.unavailable == (("taken_cpu", "Operation not permitted"),)
    assert found.word_of("cgid daemon") is not LimitWord.UNKNOWN


def test_a_dose_that_was_none_says_nothing() -> None:
    made = [replace(s, dose=0.001) if s.name == "held_workers" else s for s in slots(1)]

    held = next(h for h in shown(performed(of=made)).held if h.component == "MaxRequestWorkers")

    assert held.word is LimitWord.UNKNOWN
    assert held.elasticity is None
    assert held.reason == "in truth hardly anything of it was held back"


def test_a_full_dose_in_too_few_slots_is_not_called_none() -> None:
    """A trial that was cut has four slots of one thing, each held back as asked."""
    places = [n for n, s in enumerate(slots(1)) if s.name == "held_workers"]
    made = [s for n, s in enumerate(slots(1)) if not {n, n - 1} & set(places[4:])]

    held = next(h for h in shown(performed(of=made)).held if h.component == "MaxRequestWorkers")

    assert (held.word, held.elasticity) == (LimitWord.UNKNOWN, None)
    assert held.reason == "too few slots came to their end"


@pytest.mark.parametrize(
    ("changed", "want"),
    [
        ({"slots": 9}, "too few slots"),
        ({"slots": 0}, "too few slots"),
        ({"clients": 2_000}, "an answer took 1.6 s, too long for slots of 1.0 s"),
        ({"clients": 1}, "one client is alone"),
    ],
    ids=["a trial that was cut", "no slot at all", "answers longer than slots", "one client"],
)
def test_a_trial_that_cannot_tell_says_why(changed: dict[str, int], want: str) -> None:
    trial = performed(clients=changed.get("clients", 200))
    found = shown(replace(trial, slots=trial.slots[: changed.get("slots", SLOTS)]))

    assert found.reason.startswith(want)
    assert {h.word for h in found.held} == {LimitWord.UNKNOWN}


def test_what_takes_hold_an_answers_time_after_a_slots_begin_has_its_whole_effect() -> None:
    """A held worker waits as requests do: half as many answers come, but not before 0.4 s of the slot are over."""
    calm = performed(truth={}, scatter=0.1, clients=480)
    held = [s for s in calm.slots if s.name == "held_workers"]
    late = np.zeros(len(calm.answered_ns), dtype=bool)
    for slot in held:
        late |= (calm.answered_ns >= slot.begin_ns + 0.4 * NS) & (calm.answered_ns < slot.end_ns)
    gone = late & (np.arange(len(late)) % 2 == 0)
    slots_ = tuple(replace(s, asked=0.5, dose=0.5) if s.name == "held_workers" else s for s in calm.slots)

    found = shown(replace(calm, slots=slots_, answered_ns=calm.answered_ns[~gone]))

    assert next(h.elasticity for h in found.held if h.component == "MaxRequestWorkers") == pytest.approx(1, abs=0.05)


def test_a_slot_without_an_answer_is_no_error() -> None:
    trial = performed()
    frozen = next(s for s in trial.slots if s.name == "stopped_daemon")
    inside = (trial.answered_ns >= frozen.begin_ns) & (trial.answered_ns < frozen.end_ns)

    assert shown(replace(trial, answered_ns=trial.answered_ns[~inside])).held


HEADER = "begin_ns,end_ns,intervention,asked_ppm,dose_ppm\n"


def test_slots_are_read_as_they_were_written_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "interventions.csv"
    path.write_text(f"{HEADER}1,5,untouched,0,0\n5,9,stopped_daemon,200000,203000\n9,1")

    assert read_slots(path) == (
        InterventionSlot(1, 5, "untouched", 0, 0),
        InterventionSlot(5, 9, "stopped_daemon", 0.2, 0.203),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "begin_ns,end_ns\n",
        f"{HEADER}5,9,untouched,0\n",
        f"{HEADER}5,9,=cmd,0,0\n",
        f"{HEADER}5,5,untouched,0,0\n",
        f"{HEADER}5,9,untouched,0,0\n1,4,untouched,0,0\n",
        f"{HEADER}5,9,untouched,0,99999999\n",
        f"{HEADER}-5,9,untouched,0,0\n",
    ],
    ids=["nothing", "another header", "a field less", "no name", "no length", "backwards", "no share", "negative"],
)
def test_a_file_that_no_host_writes_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "interventions.csv"
    path.write_text(text)

    with pytest.raises(StoreError):
        read_slots(path)
