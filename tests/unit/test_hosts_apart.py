"""Several servers: each speaks for itself, and the report says when they do not agree."""

from dataclasses import replace

import pytest

from cgidlab import verdict
from cgidlab.analysis import analyse
from cgidlab.analysis.conditions import drift
from cgidlab.analysis.hosts import hosts_apart
from cgidlab.model import Figures, TrialRecord
from cgidlab.report import words
from tests.unit.trial_records import RULE, experiment, trial


def records(effects: dict[str, float], blocks: int = 8, base: dict[str, float] | None = None) -> list[TrialRecord]:
    """Return trials of levels 100 (reference) and 5 on hosts: throughput, and what level 5 makes of it."""
    found = []
    for place, (host, effect) in enumerate(effects.items()):
        for n in range(blocks):
            block = place * blocks + n + 1
            reference = (base or {}).get(host, 1000.0) * (1 + 0.01 * (n % 3))
            treated = reference * effect * (1 + 0.005 * (n % 2))
            for level, value in (("100", reference), ("5", treated)):
                figures = Figures(throughput_rps=value, requests=1000, errors=0)
                made = trial(block, figures, {"listen_backlog": level}, started_s=1000.0 + 60.0 * block)
                found.append(replace(made, host=host))
    return found


def test_one_host_is_not_compared_with_itself() -> None:
    assert hosts_apart(records({"web1": 0.9}), RULE) == ()


def test_servers_that_agree_are_shown_side_by_side() -> None:
    (apart,) = [h for h in hosts_apart(records({"web1": 0.9, "web2": 0.9}), RULE) if h.response == "throughput_rps"]

    assert [(e.host, e.blocks) for e in apart.effects] == [("web1", 8), ("web2", 8)]
    assert [e.estimate for e in apart.effects] == pytest.approx([0.902, 0.902], abs=0.002)
    assert all(e.interval is not None and e.interval.holds(0.9025) for e in apart.effects)
    assert not apart.differ


def test_servers_that_do_not_agree_are_never_averaged_away() -> None:
    """Their mean would say that nothing happens."""
    found = records({"web1": 0.8, "web2": 1.25})
    analysis = analyse.analyse(found, experiment(found))
    said = verdict.judge(analysis, found)

    (apart,) = [h for h in analysis.hosts if h.response == "throughput_rps"]
    assert apart.differ
    assert "the servers do not agree" in said.text
    assert "web1: ratio 0.80" in said.text
    assert "web2: ratio 1.25" in said.text
    assert {row[3] for row in words.host_rows(analysis.hosts)} == {"web1", "web2"}
    assert "no" in {row[8] for row in words.host_rows(analysis.hosts)}


def test_a_slower_machine_is_no_disagreement_and_its_level_is_told() -> None:
    (apart,) = [
        h
        for h in hosts_apart(records({"web1": 0.9, "web2": 0.9}, base={"web2": 300.0}), RULE)
        if h.response == "throughput_rps"
    ]

    assert not apart.differ
    assert [level.median for level in apart.levels] == pytest.approx([1010.0, 303.0])


def test_too_few_blocks_say_nothing_about_a_difference() -> None:
    (apart,) = [
        h for h in hosts_apart(records({"web1": 0.8, "web2": 1.2}, blocks=1), RULE) if h.response == "throughput_rps"
    ]

    assert apart.p is None
    assert not apart.differ


def test_a_second_server_that_is_faster_is_no_drift() -> None:
    """Its blocks came later here; against its own median nothing moved."""
    found = drift(records({"web1": 1.0, "web2": 1.0}, base={"web2": 3000.0}), RULE)

    assert found is not None
    assert found.range < 0.05
