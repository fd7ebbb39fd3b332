"""The verdict in seven lines says what the whole of it says, and every sentence has a template."""

import math
import re
import string
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cgidlab.analysis.analyse import analyse
from cgidlab.analysis.findings import Answer, Effect
from cgidlab.analysis.intervals import Interval
from cgidlab.model import FailureKind, Outcome, Status, TrialRecord
from cgidlab.verdict import judge, sentences, templates, words
from tests.unit import verdict_data


def answers(name: str) -> dict[str, str]:
    """Return the lines of a recorded run by their names."""
    return {line.name: line.text for line in verdict_data.recorded(name).verdict.answers}


def test_the_recorded_sweep_is_answered_in_seven_lines() -> None:
    found = answers("overflow_with_cost")

    assert list(found) == ["Overflow", "Throughput", "Tail", "Errors", "Limit", "Do", "Trust"]
    assert found["Overflow"] == (
        "YES with 100 at 200 and 400 clients: full 68 % of the time, up to 380 workers asleep, 1.03 s at worst. "
        "No at 50 clients."
    )
    assert "771 -> 406 ms with 1024 at 400 clients, 49.0 % less" in found["Tail"]
    assert found["Tail"].endswith("Said of a closed loop.")
    assert found["Errors"] == "None. No worker retried: on Linux it sleeps instead."
    assert found["Limit"].startswith("A hint, not shown: ")
    assert "both to 1024, 799 places of it used at most. " in found["Do"], "what was tried, and how much of it was used"
    assert "ratio" not in found["Do"], "the figures are in the lines above"
    assert found["Trust"].startswith("72 trials. Host speed wandered by 23 %")


def test_a_sweep_of_short_windows_says_what_its_run_said() -> None:
    """Its percentiles are of a block's windows together, and what limits was tried beside it."""
    run, said = verdict_data.recorded("overflow_and_limit"), verdict_data.summary("overflow_and_limit")

    for told, one in zip(run.verdict.answers, said["verdict"]["answers"], strict=True):
        assert told.topic == one["topic"]
        assert [(s.template, s.values) for s in told.sentences] == [
            (s["template"], s["values"]) for s in one["sentences"]
        ]
    found, want = run.analysis.effects, said["effects"]
    assert [(e.response, e.level, dict(e.at), e.pooled, e.answer) for e in found] == [
        (e["response"], e["level"], e["at"], e["pooled"], e["answer"]) for e in want
    ]
    assert [e.estimate for e in found] == pytest.approx([e["estimate"] for e in want])
    for e, one in zip(found, want, strict=True):
        for span, known in ((e.interval, one["interval"]), (e.family_interval, one["family_interval"])):
            assert (span is None) == (known is None)
            assert span is None or [span.low, span.high] == pytest.approx(known)


def test_what_only_a_common_effect_shows_is_not_said_of_each_comparison() -> None:
    assert answers("overflow_with_cost")["Throughput"] == (
        "Changes by less than 5 % over all levels of clients together. "
        "One by one in 1 of 9: elsewhere a change of up to 12 % is not ruled out."
    )


def test_a_change_that_is_not_ruled_out_is_no_half_width() -> None:
    """Half widths ("known to") are of one comparison; this is the farthest end of the intervals of all together."""
    run = verdict_data.recorded("overflow_undecided")
    text = next(a.text for a in run.verdict.answers if a.topic == "throughput_rps")
    open_ = [
        e
        for e in run.analysis.effects
        if (e.response, e.pooled, e.answer) == ("throughput_rps", False, Answer.INCONCLUSIVE)
    ]

    assert text == "Not decided: a change of up to 44 % is not ruled out."
    assert len(open_) == 1
    assert open_[0].half_width == pytest.approx(0.352, abs=0.001)


@pytest.mark.parametrize(
    ("estimate", "interval", "scale", "want"),
    [
        (1.043, Interval(1.032, 1.054), "ratio", "4.3 % more (3.2 to 5.4)"),
        (0.972, Interval(0.945, 1.004), "ratio", "2.8 % less (-0.4 to 5.5)"),
        (2.99, None, "ratio", "199.0 % more"),
        (14.745, Interval(13.849, 15.698), "ratio", "14.7 times as much (13.8 to 15.7)"),
        (12.0, Interval(3.5, 20.5), "difference", "+12.0 (3.5 to 20.5)"),
        (None, None, "ratio", "ratio not known"),
    ],
)
def test_a_change_is_said_in_per_cent_until_it_is_a_multiple(
    estimate: float | None, interval: Interval | None, scale: str, want: str
) -> None:
    one = verdict_data.recorded("overflow_and_limit").analysis.effects[0]

    assert words.change(replace(one, estimate=estimate, family_interval=None, interval=interval, scale=scale)) == want


@pytest.mark.parametrize(("known", "want"), [(True, "a change of up to 44 % is not ruled out."), (False, "")])
def test_what_is_open_without_an_interval_is_said_without_a_figure(known: bool, want: str) -> None:  # noqa: FBT001 -- a case
    experiment, records, notes = verdict_data.load("overflow_undecided")
    found = analyse(records, experiment)
    bare = [e if known else replace(e, interval=None, family_interval=None) for e in found.effects]
    first = replace(bare[0], level="81", answer=Answer.EQUIVALENT, interval=Interval(0.99, 1.01))
    judged = judge(replace(found, effects=(first, *bare)), records, notes)

    text = next(a.text for a in judged.answers if a.topic == "throughput_rps")
    assert text.partition("Not decided in 1 of 2")[2].lstrip(":. ") == want, text


@pytest.mark.parametrize("clients", [("400",), ("50", "200", "400")])
def test_where_the_factor_has_one_value_nothing_is_compared_and_what_was_measured_is_said(
    clients: tuple[str, ...],
) -> None:
    smallest = {"throughput_rps": 0.05, "latency_p99_ms": 0.2}
    kept = {"listen_backlog": ("100",), "clients": clients}
    experiment, records, notes = verdict_data.part("overflow_with_cost", kept, smallest)
    verdict = judge(analyse(records, experiment), records, notes)
    told = {a.topic: a.text for a in verdict.answers}

    nothing = "Nothing to compare it with: listen_backlog has one value."
    several = r" to [\d,]+" if len(clients) > 1 else ""
    assert re.fullmatch(rf"1,\d\d\d{several} requests a second\. {nothing}", told["throughput_rps"])
    assert re.fullmatch(rf"[\d,]+{several} ms\. {nothing} Said of a closed loop\.", told["latency_p99_ms"])
    assert "6 " not in told["do"]
    assert "leave" not in told["do"].lower()
    assert set(verdict.cost.values()) == {Answer.DESCRIBED}
    assert "Nothing is compared: listen_backlog has one value" in verdict.lines[2]
    for answer in verdict.answers:
        other = answer.told_in("ja")[1]
        assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", other), other


def test_the_largest_change_comes_first_whatever_its_direction_and_all_worse_ones_are_counted() -> None:
    experiment, records, notes = verdict_data.load("overflow_with_cost")
    found = analyse(records, experiment)
    rates = {("50", "1"): 1.5, ("50", "5"): 1.17, ("200", "5"): 1.16, ("200", "1024"): 0.65, ("400", "1024"): 0.5}

    def changed(effect: Effect) -> Effect:
        estimate = rates.get((dict(effect.at).get("clients", ""), effect.level))
        if effect.response != "latency_p99_ms" or effect.pooled or estimate is None:
            return effect
        return replace(effect, estimate=estimate, answer=Answer.REAL_NEAR)

    found = replace(found, effects=tuple(map(changed, found.effects)))
    tail = next(a.text for a in judge(found, records, notes).answers if a.name == "Tail")

    assert re.search(r"with 1024 at 400 clients, 50\.0 % less.* with 1 at 50 clients, 50\.0 % more", tail), tail
    assert "Different as well: 3 of 9 comparisons, 2 of them for the worse." in tail


def told(records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the lines of the recorded sweep with other trials."""
    experiment, _, notes = verdict_data.load("overflow_with_cost")
    return {line.name: line.text for line in judge(analyse(records, experiment), records, notes).answers}


def test_a_run_that_was_mostly_disturbed_says_so_before_everything_else() -> None:
    _, records, _ = verdict_data.load("overflow_with_cost")
    noisy = Outcome("x", Status.INVALID, "noisy: a neighbour", FailureKind.NOISE)

    def disturbed(share: float) -> list[TrialRecord]:
        return [replace(r, outcome=noisy) if r.number <= share * len(records) else r for r in records]

    first = next(iter(told(disturbed(0.6)).values()))
    assert re.match(r"MOSTLY DISTURBED, 43 of 72 trials: not to be relied on\. ", first)
    assert not any("MOSTLY" in text for text in told(disturbed(0.4)).values())
    experiment, _, _ = verdict_data.load("overflow_with_cost")
    most = disturbed(0.6)
    assert judge(analyse(most, experiment), most).lines[0].startswith("MOSTLY DISTURBED")


def test_noise_that_nobody_could_see_is_not_known() -> None:
    _, records, _ = verdict_data.load("overflow_with_cost")

    def without(number: int) -> list[TrialRecord]:
        return [
            replace(r, figures=replace(r.figures, outsider_cpu_share=None if r.number <= number else 0.01))
            for r in records
        ]

    assert "What else ran on the host is not known." in told(without(len(records)))["Trust"]
    assert "What else ran on the host is not known of 3 trials." in told(without(3))["Trust"]
    assert "not known" not in told(without(0))["Trust"]


def test_the_hosts_pace_is_said_where_it_was_measured() -> None:
    _, records, _ = verdict_data.load("overflow_with_cost")

    def paced(r: TrialRecord) -> TrialRecord:
        rate = 1000.0 * (1.18 if r.block == 1 else 1.0)
        return replace(
            r,
            figures=replace(
                r.figures, pace_arithmetic_per_s=rate, pace_memory_per_s=rate, pace_system_calls_per_s=rate
            ),
        )

    assert "Host speed wandered by 18 %, which pairing takes out." in told([paced(r) for r in records])["Trust"]


@pytest.mark.parametrize(
    ("spread", "blocks", "trimmed", "want"),
    [
        pytest.param(0.047, 24, 0, "", id="by less than what matters"),
        pytest.param(0.06, 24, 0, "differ by 6 %", id="by more"),
        pytest.param(0.06, 24, 6, "differ by 9 %", id="a half of them is left out, and the spread is that of the rest"),
        pytest.param(0.047, 24, 6, "differ by 7 %", id="which is more than what matters for all of them"),
    ],
)
def test_from_which_spread_on_a_host_is_restless(spread: float, blocks: int, trimmed: int, want: str) -> None:
    experiment, records, notes = verdict_data.load("overflow_undecided")
    found = analyse(records, experiment)
    open_ = [
        replace(e, smallest=e.smallest and 0.05, block_sd=spread, blocks=blocks, trimmed=trimmed) for e in found.effects
    ]
    judged = judge(replace(found, effects=tuple(open_)), records, notes)

    trust = next(a.text for a in judged.answers if a.topic == "trust")
    assert ("Equal windows" in trust) is bool(want), trust
    assert want in trust


@pytest.mark.parametrize(
    ("noise", "want"), [(0.0, ""), (0.15, r"Equal windows next to each other differ by 1\d %, which ")]
)
def test_a_restless_host_is_named_where_it_leaves_throughput_open(noise: float, want: str) -> None:
    _, records, _ = verdict_data.load("overflow_with_cost")
    rng = np.random.default_rng(5)
    noisy = [
        replace(
            r, figures=replace(r.figures, throughput_rps=1000 * math.exp(noise / math.sqrt(2) * rng.standard_normal()))
        )
        for r in records
    ]

    found = told(noisy)

    assert bool(re.search(want or "Equal windows", found["Trust"])) is bool(want)
    assert ("ot decided" in found["Throughput"]) is bool(want)


def test_what_the_question_is_about_comes_first() -> None:
    assert list(answers("better_and_worse"))[:2] == ["Answer", "Throughput"]
    assert next(iter(answers("overflow_without_cost"))) == "Overflow"


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("no_overflow", "NO, in no cell: it held at most 99 of 512."),
        ("contradictory_witnesses", "NOT KNOWN: witnesses contradict each other at "),
        ("broken_instrument", "NO with 1024. YES with 5: "),
    ],
)
def test_the_queue_has_a_word_for_each_answer(name: str, want: str) -> None:
    assert answers(name)["Overflow"].startswith(want)


def test_a_run_without_a_valid_trial_claims_nothing() -> None:
    experiment, _, _ = verdict_data.load("no_overflow")

    found = {line.name: line.text for line in judge(analyse([], experiment), []).answers}

    assert found["Overflow"] == "NOT KNOWN: no trial is valid."
    assert found["Errors"].startswith("Not known")
    assert "run again" in found["Do"]


def test_every_template_can_be_said_with_the_values_that_its_name_stands_for() -> None:
    """What another language has to fill in are the same fields."""
    for name, template in templates.EN.items():
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        said = sentences.Sentence(name, dict.fromkeys(fields, "x")).text
        assert "{" not in said
        assert re.search(r"[.:]$", said.strip()) or name == "clause"


@pytest.mark.parametrize("name", verdict_data.RUNS)
def test_no_line_has_more_than_is_read(name: str) -> None:
    for topic, text in answers(name).items():
        assert text
        assert len(text) < 420, topic
