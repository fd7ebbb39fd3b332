import json
import re
from dataclasses import replace

import pytest

from cgidlab.analysis.analyse import Answer, analyse
from cgidlab.model import (
    Experiment,
    FailureKind,
    Figures,
    Outcome,
    Repetitions,
    Scalar,
    SmallestEffect,
    Status,
    TrialRecord,
    VerdictRule,
)
from cgidlab.parsers import versions
from cgidlab.runs import proven
from cgidlab.verdict import Limit, Overflow, Verdict, judge, summary_json
from cgidlab.verdict.limits import limits
from cgidlab.verdict.overflow import of_cell, of_trial
from tests.unit import trial_records, verdict_data


def verdict_of(name: str) -> Verdict:
    """Return the verdict on a recorded run."""
    return verdict_data.recorded(name).verdict


def harmless() -> tuple[Experiment, list[TrialRecord]]:
    """Return the part of the recorded sweep whose two queues overflow alike, judged by 10 % of throughput."""
    experiment, records, _ = verdict_data.part(
        "overflow_with_cost",
        {"listen_backlog": ("5", "100"), "clients": ("400",)},
        {"throughput_rps": 0.10, "latency_p99_ms": 0.20},
    )
    return experiment, records


def small(*figures: Figures, **settings: Scalar) -> Verdict:
    """Return the verdict on one cell of backlog 100 with these trials."""
    records = [
        trial_records.trial(b, f, {"listen_backlog": "100"}, settings=settings) for b, f in enumerate(figures, start=1)
    ]
    return judge(analyse(records, trial_records.experiment(records)), records)


def test_an_overflow_with_a_cost_is_observed_and_priced() -> None:
    verdict = verdict_of("overflow_with_cost")

    assert verdict.overflow is Overflow.OBSERVED
    assert verdict.cost["latency_p99_ms"] is Answer.COSTS_AT_LEAST
    assert verdict.cost["throughput_rps"] is Answer.EQUIVALENT, "common to all cells, since no interaction is shown"
    overflow, retries, cost, limit, advice = verdict.lines
    assert overflow.startswith(
        "The queue of 100 was full (101 of 100) for 68 % of the window and up to 380 workers slept in connect() "
        "for up to 1,032 ms at listen_backlog=100, clients=400"
    ), "the worst of the reference cells, not the one that was full for longest"
    assert (
        "8 of 12 cells (listen_backlog=1; listen_backlog=5; listen_backlog=100 with clients=200 or clients" in overflow
    )
    assert "queue, sleepers and connect times agree" in overflow
    assert retries.startswith("No connect was refused and no worker retried in the windows")
    assert "on Linux an overflow writes no retry line" in retries
    assert cost.startswith(
        "Throughput did not change with the backlog by 5 % or more (ratio 1.02, 90 % interval 1.00 to"
    )
    assert (
        "(all cells together), the farthest of 3 comparisons), where no difference between the cells is shown" in cost
    )
    assert "p99 latency in a closed loop is at least 20 % lower at listen_backlog=1024 (clients=400)" in cost
    assert "the host's speed wandered by 23 % over the run" in cost
    assert "the cgid daemon's one thread never slept" in limit
    assert "beside the backlog" in limit
    assert advice.startswith("Raise the backlog and somaxconn together if 200 to 400 requests are always under way")
    assert "both to 1024, 799 places of it used at most" in advice
    assert "do not use listen_backlog 1 and 5 in place of 100" in advice


def test_an_overflow_without_a_cost_is_observed_and_called_harmless() -> None:
    """Equivalence is shown for every response of the rule: its interval lies within what was named before the run."""
    verdict = verdict_of("overflow_without_cost")

    assert verdict.overflow is Overflow.OBSERVED
    assert verdict.cost == {"throughput_rps": Answer.EQUIVALENT, "latency_p99_ms": Answer.EQUIVALENT}
    assert "the queue overflowed in 2 of 2 cells" in verdict.lines[0]
    assert "queue, sleepers and connect times agree" in verdict.lines[0]
    assert verdict.lines[2].startswith(
        "Throughput did not change with the backlog by 10 % or more (ratio 1.01, 90 % interval 0.97 to 1.05); "
        "p99 latency in a closed loop did not change with the backlog by 25 % or more (ratio 1.09, 90 % interval 1.04 "
    )
    assert verdict.lines[4].startswith("Leave the backlog at 100")
    assert "an overflow alone is no harm" in verdict.lines[4]


def test_a_change_that_is_shown_and_about_as_large_as_matters_is_an_answer_of_its_own() -> None:
    """The same run, asked for 5 % of p99 latency: its interval leaves out "no change" and holds 5 %."""
    experiment, records, notes = verdict_data.part("overflow_without_cost", {}, {"latency_p99_ms": 0.05})

    verdict = judge(analyse(records, experiment), records, notes)

    assert verdict.overflow is Overflow.OBSERVED
    assert verdict.cost == {"latency_p99_ms": Answer.REAL_NEAR}
    assert "is real, near the 5 % that matter: 8.6 % more (3.0 to 14.5) at listen_backlog=5" in verdict.lines[2]
    assert verdict.lines[4].startswith("Take or leave listen_backlog=5")
    assert "an overflow alone is no harm" not in verdict.lines[4]


def test_handlers_are_named_as_people_call_them_and_what_another_one_takes_is_said() -> None:
    told = {line.topic: line.text for line in verdict_of("handlers").answers}

    assert told["overflow"].startswith("YES with mod_cgid and listen_backlog 5: full 73 % of the time, ")
    assert told["overflow"].endswith(" Also with fcgiwrap and php-fpm. No with listen_backlog 1024.")
    assert "with php-fpm at listen_backlog 5" in told["throughput_rps"]
    assert told["do"].startswith("Prefer php-fpm to mod_cgid: install php-fpm, have the script in PHP, ")


@pytest.mark.parametrize(
    ("handler", "want"),
    [
        ("cgid", "build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG and set net.core.somaxconn, both to 1024"),
        ("php_fpm", "set listen.backlog in the pool's file and net.core.somaxconn, both to 1024"),
        ("uwsgi", "set listen (--listen N) and net.core.somaxconn, both to 1024"),
        ("gunicorn", "set backlog (--backlog N) and net.core.somaxconn, both to 1024"),
        ("fcgiwrap", "(Backlog= of fcgiwrap.socket, or spawn-fcgi -b N) and net.core.somaxconn, both to 1024"),
    ],
)
def test_a_longer_queue_is_advised_by_the_setting_of_who_listens(handler: str, want: str) -> None:
    experiment, records, notes = verdict_data.load("overflow_with_cost")
    told = [replace(r, settings={**r.settings, "handler": handler}) for r in records]

    advice = judge(analyse(told, experiment), told, notes).lines[4]

    assert want in advice
    assert ("mod_cgid" in advice) is (handler == "cgid")


def test_a_level_that_is_better_and_worse_is_weighed_and_not_advised_for_and_against() -> None:
    advice = verdict_of("better_and_worse").lines[4]

    assert advice.startswith(
        "Weigh mpm=prefork against event (better throughput at mpm=prefork (clients=150): ratio 1.14, "
        "95 % interval 1.08 to 1.20, but worse p99 latency at mpm=prefork (clients=50): ratio 1.94"
    )
    assert "prefer" not in advice.lower()
    assert "do not use" not in advice


def test_an_overflow_on_a_busy_machine_is_observed_and_its_cost_left_open() -> None:
    verdict = verdict_of("overflow_undecided")

    assert verdict.overflow is Overflow.OBSERVED
    assert verdict.cost["throughput_rps"] is Answer.INCONCLUSIVE
    assert re.search(r", known to ±35 %\), which about \d+ minutes more would probably decide;", verdict.lines[2])
    assert re.match(r"Change nothing yet: about \d+ minutes more would probably decide", verdict.lines[4])


def test_a_queue_with_room_for_every_worker_did_not_overflow() -> None:
    """Recorded while other work kept the machine busy: bounds of 25 and 50 % were named before."""
    verdict = verdict_of("no_overflow")

    assert verdict.overflow is Overflow.NOT_OBSERVED
    assert verdict.lines[0] == (
        "The queue did not overflow in any of 2 cells: it held at most 99 of 512; "
        "queue, sleepers and connect times agree."
    )
    assert set(verdict.cost.values()) == {Answer.EQUIVALENT}
    assert verdict.lines[4].startswith("Leave the backlog at 512")


def test_a_queue_that_never_filled_did_not_overflow() -> None:
    experiment, records, notes = verdict_data.part(
        "overflow_with_cost",
        {"listen_backlog": ("100", "1024"), "clients": ("50",)},
        {"throughput_rps": 0.10, "latency_p99_ms": 0.20},
    )

    verdict = judge(analyse(records, experiment), records, notes)

    assert verdict.overflow is Overflow.NOT_OBSERVED
    assert verdict.lines[0].startswith("The queue did not overflow in any of 2 cells: it held at most ")
    assert "queue, sleepers and connect times agree" in verdict.lines[0]
    assert verdict.lines[4].startswith("Leave the backlog at 100")


def test_where_no_witness_was_ever_proven_nothing_is_claimed_about_the_queue_but_the_cost_is_kept() -> None:
    experiment, records = harmless()
    counted, notes = proven.counted(records, {"hosts": {}})

    verdict = judge(analyse(counted, experiment), counted, notes)

    assert verdict.overflow is Overflow.INCONCLUSIVE
    assert verdict.lines[0] == "Whether the queue overflowed cannot be said; no witness of the queue ran."
    assert set(verdict.cost.values()) == {Answer.EQUIVALENT}
    for name in ("listen_queue", "worker_states", "connect_times"):
        assert f"{name} is not proven on local" in verdict.lines[2]
    assert verdict.lines[4] == "Get a witness of the queue to run before changing anything."


def test_a_broken_instrument_is_named_and_not_counted_and_the_others_answer() -> None:
    """Its control failed, so the run did not believe it, although it says "never more than 0" of a full queue."""
    verdict = verdict_of("broken_instrument")

    assert verdict.overflow is Overflow.OBSERVED
    assert "sleepers and connect times agree; not observed: queue" in verdict.lines[0]
    assert "listen_queue is not proven on local (its controls did not pass) and is not counted" in verdict.lines[2]


def test_contradictory_witnesses_are_inconclusive_and_both_named() -> None:
    """The same blind instrument, believed."""
    verdict = verdict_of("contradictory_witnesses")

    assert verdict.overflow is Overflow.INCONCLUSIVE
    assert "witnesses contradict each other at listen_backlog=5, clients=60" in verdict.lines[0]
    assert "sleepers: up to 60 workers asleep in connect() and connect times: up to " in verdict.lines[0]
    assert ", but queue: at most 0 of a limit of 5, full for 0 % of the window" in verdict.lines[0]
    assert verdict.lines[4].startswith("Find out which witness is wrong")


def test_a_saturated_load_generator_sets_the_pace_and_nothing_is_called_harmless() -> None:
    """It used less than the 0.95 of a core that make a trial invalid; its headroom shows it."""
    verdict = verdict_of("saturated_load_generator")

    assert verdict.overflow is Overflow.NOT_OBSERVED
    assert [limit.name for limit in verdict.limits if limit.saturated] == ["driver"]
    said = "he driver used 0.87 of a core and got 91 % of the answers a second that it gets for a static file."
    assert verdict.lines[3] == f"T{said}"
    assert verdict.lines[4] == f"Put the load on another host before believing any throughput: t{said}"


def test_a_load_generator_that_was_held_back_unseen_leaves_the_limit_unknown() -> None:
    """A quota let it have 3 % of a core: nothing that is observed is full, and no part of the server is blamed."""
    verdict = verdict_of("held_back_load_generator")

    assert verdict.overflow is Overflow.NOT_OBSERVED
    assert verdict.lines[3].startswith(
        "What limits throughput is not known: nothing that was observed is at its limit (the driver used 0.03"
    )
    assert not any(limit.saturated for limit in verdict.limits)
    assert "would raise throughput" not in verdict.lines[4]


def test_when_the_load_generator_saturated_its_core_no_trial_is_valid_and_nothing_is_said_of_the_server() -> None:
    experiment, records = harmless()
    reason = "the driver was saturated: 0.97 of its one core"
    spoilt = [
        replace(
            r,
            outcome=Outcome(r.key, Status.INVALID, reason, FailureKind.CLIENT),
            figures=replace(r.figures, driver_cpu_share=0.97),
        )
        for r in records
    ]

    verdict = judge(analyse(spoilt, experiment), spoilt)

    assert verdict.overflow is Overflow.INCONCLUSIVE
    assert f"none of {len(spoilt)} trials is valid" in verdict.lines[0]
    assert verdict.lines[3] == "The driver used 0.97 of a core, so it set the pace and not the server."
    assert verdict.lines[4].startswith("Lower the load or put the driver on another host")


@pytest.mark.parametrize(
    ("figures", "want"),
    [
        (Figures(queue_limit=100, queue_depth_max=101, queue_full_share=0.4), Overflow.OBSERVED),
        (Figures(workers_in_connect_max=30, workers_in_connect_mean=9.0), Overflow.OBSERVED),
        (Figures(connect_p99_us=90_000.0, connect_max_us=400_000.0), Overflow.OBSERVED),
        (
            Figures(queue_limit=100, queue_depth_max=101, queue_full_share=0.01, workers_in_connect_max=2,
                    workers_in_connect_mean=0.01),
            Overflow.OBSERVED,
        ),
        (
            Figures(queue_limit=100, queue_depth_max=101, queue_full_share=0.01, workers_in_connect_max=0),
            Overflow.NOT_OBSERVED,
        ),
        (
            Figures(queue_limit=100, queue_depth_max=100, queue_full_share=0.0, workers_in_connect_max=30,
                    workers_in_connect_mean=9.0),
            Overflow.OBSERVED,
        ),
        (Figures(queue_limit=100, queue_depth_max=100, queue_full_share=0.0), Overflow.INCONCLUSIVE),
        (
            Figures(queue_limit=100, queue_depth_max=101, queue_full_share=0.6, workers_in_connect_max=0),
            Overflow.INCONCLUSIVE,
        ),
        (
            Figures(queue_limit=100, queue_depth_max=12, queue_full_share=0.0, connect_p99_us=90_000.0,
                    connect_max_us=1e6),
            Overflow.INCONCLUSIVE,
        ),
        (
            Figures(queue_limit=100, queue_depth_max=12, queue_full_share=0.0, connect_p99_us=900.0,
                    connect_max_us=20_000.0),
            Overflow.NOT_OBSERVED,
        ),
        (Figures(connect_p99_us=900.0, connect_max_us=20_000.0), Overflow.INCONCLUSIVE),
        (
            Figures(queue_limit=100, queue_depth_max=12, queue_full_share=0.0, connects=90, connect_p50_us=93.0,
                    connect_p99_us=22_425.0, connect_max_us=22_425.0),
            Overflow.NOT_OBSERVED,
        ),
        (
            Figures(queue_limit=100, queue_depth_max=12, queue_full_share=0.0, connects=600, connect_p50_us=93.0,
                    connect_p99_us=22_425.0, connect_max_us=22_425.0),
            Overflow.INCONCLUSIVE,
        ),
        (Figures(connects=90, connect_p50_us=870_000.0, connect_p99_us=1e6, connect_max_us=1e6), Overflow.OBSERVED),
        (Figures(), Overflow.INCONCLUSIVE),
    ],
    ids=[
        "queue alone", "sleepers alone", "connect times alone", "two saw a moment", "a moment without sleepers",
        "at the limit while others sleep", "up to the limit", "full without sleepers", "slow connects, empty queue",
        "a busy host's connects", "only a busy host's connects", "one slow connect of a few", "many slow connects",
        "few and all of them slow", "nothing ran",
    ],
)  # fmt: skip
def test_witnesses_are_weighed_with_their_tolerances(figures: Figures, want: Overflow) -> None:
    found, _ = of_trial(trial_records.trial(1, figures, {"listen_backlog": "100"}))

    assert found is want


def test_a_full_queue_that_has_room_for_every_connection_keeps_nobody_out() -> None:
    """Two connections a worker, 20 workers: a queue of 40 can be full at 40 + 1 only by one too many."""
    figures = Figures(queue_limit=40, queue_depth_max=41, queue_full_share=0.5, workers_in_connect_max=0)
    few = trial_records.trial(1, figures, {"listen_backlog": "40"}, settings={"clients": 20})

    assert of_trial(few)[0] is Overflow.NOT_OBSERVED
    assert of_trial(replace(few, settings={**few.settings, "clients": 200}))[0] is Overflow.INCONCLUSIVE


def test_one_torn_cell_does_not_undo_what_others_show_but_is_named() -> None:
    experiment, records, _ = verdict_data.load("overflow_with_cost")
    torn = [
        replace(r, figures=replace(r.figures, queue_depth_max=3, queue_full_share=0.0))
        if r.levels == (("listen_backlog", "100"), ("clients", "400"))
        else r
        for r in records
    ]

    verdict = judge(analyse(torn, experiment), torn)

    assert verdict.overflow is Overflow.OBSERVED
    assert "witnesses contradict each other at listen_backlog=100, clients=400" in verdict.lines[0]


def test_a_witness_that_never_ran_is_named() -> None:
    line = small(Figures(queue_limit=100, queue_depth_max=101, queue_full_share=0.4)).lines[0]

    assert "only the witness queue says so" in line
    assert "not observed: sleepers and connect times" in line


def test_retries_are_split_by_errno() -> None:
    figures = Figures(
        retries_in_window=7, retries_refused_in_window=5, retries_enoent_in_window=2, gave_up_503=1, cgid_restarts=1
    )

    line = small(figures).lines[1]

    assert line.startswith(
        "Workers retried 7 times in the windows: 5 refused (ECONNREFUSED: nobody listened) and 2 with"
    )
    assert "1 request gave up with 503; the daemon was restarted 1 time" in line


def test_the_kernel_says_whether_workers_retried_where_no_log_could() -> None:
    none, some = small(Figures(connects_refused=0)).lines[1], small(Figures(connects_refused=250)).lines[1]

    assert none.startswith("No worker retried: the kernel refused no connect")
    assert some.startswith("The kernel refused 250 connects (ECONNREFUSED: nobody listened): mod_cgid tries each again")


def test_a_connect_that_was_turned_away_is_an_overflow_that_no_witness_can_deny() -> None:
    figures = Figures(
        queue_limit=100, queue_depth_max=12, queue_full_share=0.0, workers_in_connect_max=0, connects=1000,
        connect_p99_us=20.0, connect_max_us=90.0, connects_turned_away=3,
    )  # fmt: skip
    record = trial_records.trial(1, figures, {"listen_backlog": "100"})

    assert of_trial(record)[0] is Overflow.OBSERVED
    assert of_trial(replace(record, figures=replace(figures, connects_turned_away=0)))[0] is Overflow.NOT_OBSERVED
    lost = replace(record, figures=replace(figures, connects=None, connects_turned_away=5000))
    assert (of_cell([record]).connects, of_cell([record, lost]).connects) == (1000, None)
    assert of_cell([record, lost]).turned_away == 5003, "the least: not 5,003 of 1,000"
    line = small(replace(figures, queue_full_share=0.4, queue_depth_max=101)).lines[0]
    assert "3 of 1,000 connects were turned away (EAGAIN)" in line
    assert "queue and connects turned away agree" in line


def test_retries_without_an_error_log_are_not_known() -> None:
    assert small(Figures()).lines[1].startswith("Whether workers retried is not known")


def test_few_blocks_give_ratios_but_no_claim() -> None:
    experiment, records, _ = verdict_data.load("overflow_with_cost")
    few = [r for r in records if r.block <= 3]

    verdict = judge(analyse(few, replace(experiment, repetitions=Repetitions(3, 3))), few)

    assert verdict.overflow is Overflow.OBSERVED
    assert set(verdict.cost.values()) == {Answer.INCONCLUSIVE}
    assert verdict.lines[2].startswith("No 95 % claim is made about throughput below 6 complete blocks (ratios from ")
    assert verdict.lines[4].startswith("Change nothing yet: 6 blocks are the least that decides anything")


def test_an_open_question_says_how_well_the_ratio_is_known_and_how_long_it_probably_takes() -> None:
    experiment, records = harmless()
    strict = VerdictRule("listen_backlog", "100", (SmallestEffect("throughput_rps", 0.05),))

    verdict = judge(analyse(records, replace(experiment, rule=strict)), records)

    assert verdict.cost == {"throughput_rps": Answer.INCONCLUSIVE}
    assert "Whether throughput changes by 5 % is not decided (listen_backlog=5 (clients=400): " in verdict.lines[2]
    assert "known to \N{PLUS-MINUS SIGN}6 %)" in verdict.lines[2]
    assert re.search(r", which about \d+ minutes more would probably decide", verdict.lines[2])
    assert re.match(r"Change nothing yet: about \d+ minutes more would probably decide", verdict.lines[4])


def test_an_open_question_that_no_believable_time_decides_names_none() -> None:
    """Asked for 1 %: more than three times as many blocks as there are would be a guess."""
    experiment, records = harmless()
    strict = replace(experiment, rule=VerdictRule("listen_backlog", "100", (SmallestEffect("throughput_rps", 0.01),)))

    verdict = judge(analyse(records, strict), records)

    assert "known to \N{PLUS-MINUS SIGN}6 %)" in verdict.lines[2]
    assert "would probably decide" not in verdict.lines[2]
    assert verdict.lines[4].startswith("Change nothing yet: these blocks do not decide it")


def test_an_open_comparison_whose_own_interval_looks_decided_shows_the_interval_that_decides() -> None:
    """Of many comparisons one looks like a change by chance, so that all of them together decide."""
    line = verdict_of("better_and_worse").lines[2]

    assert "(mpm=worker (clients=50): ratio 1.06, 95 % interval 1.01 to 1.12 by itself, 0.98 to 1.15 with all" in line
    assert re.search(r", which about \d+ minutes more would probably decide", line)


def test_comparisons_that_lost_blocks_are_counted_beside_those_that_are_merely_open() -> None:
    experiment, records, _ = verdict_data.load("overflow_with_cost")
    lost = [
        replace(r, outcome=Outcome(r.key, Status.INVALID, "noisy", FailureKind.NOISE))
        if r.block == 2 and r.levels == (("listen_backlog", "100"), ("clients", "200"))
        else r
        for r in records
    ]

    line = judge(analyse(lost, experiment), lost).lines[2]

    assert "is not decided in 9 of 9 comparisons" in line
    assert "3 of them have fewer than the 6 complete blocks that a claim needs" in line


def test_the_hosts_range_and_a_high_noise_floor_are_said_with_the_cost() -> None:
    records = [
        trial_records.trial(
            b,
            Figures(throughput_rps=rps * (1 + 0.03 * b)),
            {"listen_backlog": backlog},
            started_s=1e9 + 100 * b,
        )
        for b in range(1, 9)
        for backlog, rps in (("100", 1000.0), ("100b", 1080.0), ("1", 1001.0))
    ]

    verdict = judge(analyse(records, trial_records.experiment(records, repetitions=Repetitions(8, 8))), records)

    assert len(verdict.warnings) == 2
    assert "the host's speed wandered by 20 % over the run" in verdict.lines[2]
    assert "two names of one level (100 and 100b) differ in throughput by a ratio of 1.08" in verdict.lines[2]


def limit_of(figures: Figures, **settings: Scalar) -> tuple[Limit, ...]:
    found = limits([trial_records.trial(1, figures, {"listen_backlog": "100"}, settings=settings)])
    return tuple(f for f in found if f.saturated)


@pytest.mark.parametrize(
    ("figures", "settings", "name", "text"),
    [
        (Figures(cgid_cpu_share=0.97), {}, "cgid daemon", "the cgid daemon's fork loop used 0.97 of a core"),
        (Figures(cgid_cpu_share=0.6, cgid_runq_share=0.38), {}, "cgid daemon", "one thread never slept: it used 0.60"),
        (Figures(host_cpu_share=0.99), {}, "host CPU", "the host's CPUs were 99 % busy"),
        (Figures(host_iowait_share=0.4), {}, "disk", "waiting for a disk 40 % of the time"),
        (Figures(driver_cpu_share=0.93), {}, "driver", "the driver used 0.93 of a core"),
        (
            Figures(driver_cpu_share=0.03, driver_headroom_share=0.96),
            {},
            "driver",
            "the driver used 0.03 of a core and got 96 % of the answers a second that it gets for a static",
        ),
        (Figures(workers_busy_max=100), {"workers": 100}, "MaxRequestWorkers", "100 of 100 workers were busy"),
        (Figures(scoreboard_busy_max=99), {"workers": 99}, "MaxRequestWorkers", "99 of 99 workers were busy"),
        (
            Figures(tcp_overflows=12, tcp_queue_depth_max=512, tcp_queue_limit=511),
            {},
            "TCP accept queue",
            "the TCP accept queue held up to 512 of 511 and overflowed 12 times",
        ),
        (Figures(latency_p50_ms=21.0), {"script": "sleep", "sleep_ms": 20}, "script time", "took 20 ms of a median"),
        (Figures(throughput_rps=299.0), {"loop": "open", "rate": 300}, "offered rate", "299 of the 300 requests"),
    ],
    ids=[
        "daemon",
        "daemon waits",
        "CPU",
        "disk",
        "load",
        "held back",
        "workers",
        "scoreboard",
        "tcp",
        "script",
        "rate",
    ],
)
def test_each_limit_is_known_by_its_figure(figures: Figures, settings: dict[str, Scalar], name: str, text: str) -> None:
    (found,) = limit_of(figures, **settings)

    assert found.name == name
    assert text in found.text


def test_what_is_searched_for_is_no_limit_of_its_own() -> None:
    settings: dict[str, Scalar] = {"loop": "open", "rate": 300, "workers": 100}
    figures = Figures(throughput_rps=299.0, workers_busy_max=100)
    served = trial_records.trial(1, figures, {"rate": "300"}, settings=settings)

    assert [f.name for f in limits([served])] == ["offered rate", "MaxRequestWorkers"]
    assert limits([served], {"rate"}) == limits([served])[1:]
    assert limits([served], {"workers"}) == limits([served])[:1]


def test_busy_workers_keep_nobody_waiting_when_every_client_has_one() -> None:
    assert limit_of(Figures(workers_busy_max=400), workers=400, clients=400) == ()


def test_nothing_is_advised_about_one_of_two_saturated_resources() -> None:
    figures = Figures(
        cgid_cpu_share=0.93, host_cpu_share=0.99, queue_limit=100, queue_depth_max=3, queue_full_share=0.0
    )

    advice = small(figures).lines[4]

    assert "hold each back to see which of them limits (limits: once)" in advice.lower()
    assert "another host" not in advice, "only holding back shows that the driver's share would help"
    assert "would raise throughput" not in advice


def test_a_daemon_that_waits_for_a_core_is_not_advised_upon_as_if_its_own_work_filled_one() -> None:
    empty = Figures(queue_limit=100, queue_depth_max=3, queue_full_share=0.0)
    waiting = replace(empty, cgid_cpu_share=0.35, cgid_runq_share=0.65, host_cpu_share=0.94)
    working = replace(empty, cgid_cpu_share=0.95, cgid_runq_share=0.02, host_cpu_share=0.6)

    assert "It competes for the CPUs: more cores or a driver on another host" in small(waiting).lines[4]
    assert "Only fewer or cheaper forks would raise throughput" in small(working).lines[4]


def test_two_saturated_resources_are_both_named_and_not_told_apart() -> None:
    line = small(Figures(cgid_cpu_share=0.93, host_cpu_share=0.99)).lines[3]

    assert "fork loop used 0.93 of a core" in line
    assert "he host's CPUs were 99 % busy" in line  # wherever in the sentence it stands
    assert "cannot say which one alone limits" in line


def test_workers_that_pile_up_behind_the_daemon_are_called_a_consequence() -> None:
    line = small(Figures(cgid_cpu_share=0.98, workers_busy_max=100), workers=100).lines[3]

    assert line.startswith("The cgid daemon's fork loop used 0.98 of a core")
    assert "100 of 100 workers were busy, which may be a consequence" in line


def test_when_nothing_is_saturated_the_limit_is_not_known() -> None:
    line = small(Figures(cgid_cpu_share=0.41, host_cpu_share=0.55)).lines[3]

    assert line.startswith("What limits throughput is not known: nothing that was observed is at its limit")
    assert "0.41 of a core" in line
    assert "not observed: disk, driver, MaxRequestWorkers and TCP accept queue" in line


def test_a_run_without_any_trial_is_said_to_be_one() -> None:
    experiment, _ = harmless()
    none: list[TrialRecord] = []

    verdict = judge(analyse(none, experiment), none)

    assert verdict.overflow is Overflow.INCONCLUSIVE
    assert verdict.lines[0] == "Whether the queue overflowed is not known: no trial was run (no reason was recorded)."


@pytest.mark.parametrize("name", verdict_data.RUNS)
def test_every_line_is_a_sentence_and_the_text_is_all_of_them(name: str) -> None:
    verdict = verdict_of(name)

    assert len(verdict.lines) == 5
    assert all(line[0].isupper() and line.endswith(".") and "None" not in line for line in verdict.lines)
    assert verdict.text == " ".join(verdict.lines)


@pytest.mark.parametrize("name", verdict_data.RUNS)
def test_the_summary_is_plain_json_with_the_documented_keys(name: str) -> None:
    experiment, records, _ = verdict_data.load(name)
    analysis = analyse(records, experiment)
    timing = {"wall_s": 600.0, "measured_s": 480.0, "overhead_s_per_trial": 0.4}

    found = summary_json(
        analysis, judge(analysis, records), experiment="backlog", run_id="r1", timing=timing, failures={}
    )

    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert again["schema_version"] == versions.CURRENT["summary.json"]
    assert (again["experiment"], again["run_id"], again["timing"]) == ("backlog", "r1", timing)
    assert sum(again["trials"].values()) == len(records)
    assert set(again["trials"]) == {s.value for s in Status}
    assert again["verdict"]["overflow"] in {"observed", "not_observed", "inconclusive"}
    assert [c["levels"] for c in again["cells"]] == [dict(c.levels) for c in analysis.cells]
    complete = [c for c in again["cells"] if c["n"]]
    assert all(c["medians"]["throughput_rps"] > 0 for c in complete)
