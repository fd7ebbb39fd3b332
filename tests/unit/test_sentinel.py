"""What disturbed a trial is what the host was busy with and the trial did not use."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from cgidlab.analysis.conditions import pace
from cgidlab.instruments import sentinel
from cgidlab.measure.noise import disturbance
from cgidlab.model import Figures, NoisePolicy
from cgidlab.parsers.documents import SentinelDocument, parse_sentinel
from tests.unit.trial_records import trial

SECOND = 1_000_000_000
KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def counters(at_s: float, used_s: float | None, **ticks: int) -> dict[str, Any]:
    used_ns = None if used_s is None else int(used_s * SECOND)
    return {"monotonic_ns": int(at_s * SECOND), "used_ns": used_ns, **dict.fromkeys(KINDS, 0), **ticks}


def gap(at_s: float, wanted: float, took_ns: int = 100) -> dict[str, Any]:
    """Return a gap of a second on two cores in which others used `wanted` of them."""
    end = counters(at_s + 1, 0.0, idle=round(100 * (2 - wanted)))
    rounds = {name: [[took_ns] * 3, [took_ns] * 3] for name in ("arithmetic", "memory", "system_calls")}
    return {"begin": counters(at_s, 0.0), "end": end, "rounds_ns": rounds}


def document(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON of any shape
    """Return a window of a second on two cores: 0.5 s idle, 1.2 s the trial's, so 0.3 of others."""
    return {
        "schema_version": 1,
        "clk_tck": 100,
        "cpus": 2,
        "group": "v2",
        "why_no_group": "",
        "own_stat": False,
        "irq_apart": False,
        "before": gap(0, 0.0),
        "begin": {**counters(2, 10.0), "pswpin": 5, "pswpout": 5, "throttled_us": 10},
        "end": {
            **counters(3, 11.2, idle=50, user=100, system=40, softirq=10),
            "pswpin": 5,
            "pswpout": 8,
            "throttled_us": 10,
        },
        "after": gap(4, 0.0),
        "usual_ns": dict.fromkeys(("arithmetic", "memory", "system_calls"), 100),
        **changed,
    }


def parsed(value: Mapping[str, Any]) -> SentinelDocument:
    return parse_sentinel(json.dumps(value).encode(), where="sentinel.json")


def test_others_used_what_was_busy_and_not_the_trials() -> None:
    used, wanted, why = sentinel.outsiders(parsed(document()))

    assert used == pytest.approx(0.3)
    assert wanted == 0
    assert why == ""


@pytest.mark.parametrize(("apart", "want"), [(False, 0.3), (True, 0.2), (None, 0.2)])
def test_interrupts_are_the_trials_own_only_where_the_kernel_counts_them_so(apart: object, want: float) -> None:
    used, _, _ = sentinel.outsiders(parsed(document(irq_apart=apart)))

    assert used == pytest.approx(want)


def test_what_the_hypervisor_took_is_not_what_others_used() -> None:
    end = counters(3, 11.2, idle=50, steal=30)

    used, _, _ = sentinel.outsiders(parsed(document(end=end)))

    assert used == pytest.approx(0.0)


def test_who_is_there_on_one_side_alone_need_not_have_been_there_in_between() -> None:
    def wanted(before: float, after: float) -> float | None:
        return sentinel.outsiders(parsed(document(before=gap(0, before), after=gap(4, after))))[1]

    assert wanted(2.0, 0.1) == pytest.approx(0.1)
    assert wanted(1.0, 1.2) == pytest.approx(1.0)


def test_without_a_group_the_window_is_not_known_and_the_gaps_are() -> None:
    none = {"begin": counters(2, None), "end": counters(3, None, idle=50)}

    found = sentinel.outsiders(
        parsed(document(**none, group="", why_no_group="read only", before=gap(0, 0.6), after=gap(4, 0.6)))
    )

    assert (found[0], found[2]) == (None, "read only")
    assert found[1] == pytest.approx(0.6)


def test_a_containers_own_stat_says_nothing_of_the_host() -> None:
    assert sentinel.outsiders(parsed(document(own_stat=True))) == (None, None, "/proc/stat is this container's own")


POLICY = NoisePolicy(max_outsider_cpu=0.3, max_steal_share=0.05, reruns=1, max_slowdown_share=0.3)


@pytest.mark.parametrize("got", [0.05, 0.29, 1.5], ids=["beside a busy trial", "at the bound", "beside an idle one"])
def test_a_neighbour_is_flagged_whatever_the_trial_left_it(got: float) -> None:
    said = disturbance(Figures(outsider_cpu_share=got, outsider_wanted_cpu_share=1.0), POLICY)

    assert said is not None
    assert "other processes" in said


def test_a_throttled_or_slow_host_is_seen_by_its_pace() -> None:
    slow = parsed(document(before=gap(0, 0, 180), after=gap(4, 0, 180)))

    said = disturbance(sentinel.pace(slow), POLICY)

    assert said == "noisy: the host was 44% slower than usual (bound 30%)"
    assert sentinel.pace(parsed(document())).slowdown_share == 0


def test_the_run_says_between_which_paces_its_host_went() -> None:
    def at(block: int, rate: float) -> Figures:
        del block
        return Figures(pace_arithmetic_per_s=rate, pace_memory_per_s=rate, pace_system_calls_per_s=rate)

    records = [trial(b, at(b, rate), {"clients": "50"}) for b, rate in enumerate((1000.0, 1180.0, 1090.0), start=1)]

    found = pace(records)

    assert found is not None
    assert found.range == pytest.approx(0.18)
    assert found.blocks == 3
    assert pace(records[:1]) is None
    assert pace([trial(1, Figures(), {"clients": "50"}), trial(2, Figures(), {"clients": "50"})]) is None
