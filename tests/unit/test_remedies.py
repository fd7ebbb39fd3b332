"""Remedies: what is compared with what, what is a gain and what a cost, and what is said of it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from cgidhost import sut

from cgidlab.analysis.findings import Remedy
from cgidlab.analysis.remedies import remedies
from cgidlab.design.systems import SYSTEMS, has_queue
from cgidlab.model import Experiment, Factor, Figures, Level, TrialRecord
from cgidlab.report import markdown, page, say
from cgidlab.report.remedies import HEADINGS, rows
from cgidlab.verdict import programs
from scripts import make_synthetic_run as synthetic
from tests.unit import trial_records

BLOCKS = 8
HANDLERS = ("cgid", "cgi", "php_fpm")
BACKLOGS = ("100", "1024")
CLIENTS = ("50", "400")
TRUE = {  # by handler and backlog: how many times the throughput, the p99 and the CPU per request
    ("cgid", "100"): (1.0, 1.0, 1.0),
    ("cgid", "1024"): (1.0, 0.5, 1.0),
    ("cgi", "100"): (1.2, 0.9, 1.0),
    ("php_fpm", "100"): (3.0, 2.0, 0.3),
    ("php_fpm", "1024"): (3.0, 0.2, 0.3),
}


WAYS = ("listen_backlog 1024", "handler cgi", "handler php_fpm", "handler php_fpm, listen_backlog 1024")


def trials(errors: Mapping[tuple[str, str], int]) -> list[TrialRecord]:
    noise = np.random.default_rng(5)
    found = []
    for block in range(1, BLOCKS + 1):
        for (handler, backlog), true in TRUE.items():
            for clients in CLIENTS:
                rps, p99, cpu = (value * float(np.exp(noise.normal(0, 0.02))) for value in true)
                figures = Figures(
                    requests=1000,
                    errors=errors.get((handler, backlog), 0),
                    throughput_rps=1000 * rps,
                    latency_p50_ms=20.0,
                    latency_p99_ms=300 * p99,
                    cpu_per_request_ms=1.3 * cpu,
                )
                levels = {"handler": handler, "listen_backlog": backlog, "clients": clients}
                found.append(trial_records.trial(block, figures, levels, settings={"handler": handler}))
    return found


def experiment() -> Experiment:
    factors = (
        Factor("handler", tuple(Level(name, name) for name in HANDLERS)),
        Factor("listen_backlog", tuple(Level(n, int(n)) for n in BACKLOGS)),
        Factor("clients", tuple(Level(n, int(n)) for n in CLIENTS)),
    )
    made = trial_records.experiment(trials({}))
    return replace(made, factors=factors, rule=replace(made.rule, factor="handler", reference="cgid"))


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Remedy]:
    got = remedies(trials({("php_fpm", "100"): 970}), experiment())
    return {(", ".join(f"{n} {label}" for n, label in r.changes), r.at[0][1]): r for r in got}


def test_every_way_but_the_one_as_it_is_is_compared_with_it_under_each_load(
    found: dict[tuple[str, str], Remedy],
) -> None:
    assert [*found] == [(changes, clients) for changes in WAYS for clients in CLIENTS]


def test_its_effects_are_what_was_put_in_and_hold_together(found: dict[tuple[str, str], Remedy]) -> None:
    one = {e.response: e for e in found["handler php_fpm, listen_backlog 1024", "400"].effects}

    assert [e.response for e in found["listen_backlog 1024", "50"].effects] == [*one]
    assert "server_memory_mb" not in one, "no trial knows it"
    for response, want in (("throughput_rps", 3.0), ("latency_p99_ms", 0.2), ("cpu_per_request_ms", 0.3)):
        assert one[response].estimate == pytest.approx(want, rel=0.05)
        assert one[response].differs
    assert not one["latency_p50_ms"].differs


def test_gains_costs_and_what_one_must_change_are_told_apart(found: dict[tuple[str, str], Remedy]) -> None:
    told = {row[:2]: dict(zip(HEADINGS, row, strict=True)) for row in rows([*found.values()])}

    lossy = told["handler php_fpm", "clients 400"]
    assert "throughput +" in lossy["What it gains"]
    assert "CPU per request \N{MINUS SIGN}" in lossy["What it gains"]
    assert "p99 latency +" in lossy["What it costs"]
    assert "97 % of requests fail, 0 % as it is" in lossy["What it costs"]
    assert "install php-fpm" in lossy["What one must change"]
    longer = told["listen_backlog 1024", "clients 50"]
    assert (longer["What it costs"], longer["What it gains"][:13]) == ("\N{EN DASH}", "p99 latency \N{MINUS SIGN}")
    assert "throughput" in longer["Not shown either way"]
    assert longer["What one must change"] == (
        "build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG and set net.core.somaxconn, both to 1024"
    )
    both = told["handler php_fpm, listen_backlog 1024", "clients 50"]["What one must change"]
    assert "install php-fpm" in both
    assert "set listen.backlog in the pool's file and net.core.somaxconn, both to 1024" in both


def test_what_an_instrument_alone_sees_is_taken_from_the_windows_that_it_watched() -> None:
    records = [
        replace(one, figures=replace(one.figures, throughput_rps=500.0, server_memory_mb=80.0), watched=True)
        for one in trials({})
    ]
    records += [replace(one, pass_number=2, watched=False) for one in trials({})]

    one = remedies(records, experiment())[-1]

    ratios = {e.response: e.estimate for e in one.effects}
    assert ratios["throughput_rps"] == pytest.approx(3.0, rel=0.1), "of the windows in which nothing watched"
    assert ratios["server_memory_mb"] == pytest.approx(1.0)


def test_an_experiment_without_handlers_has_none() -> None:
    records = trials({})

    assert remedies(records, replace(experiment(), factors=experiment().factors[1:])) == ()


def test_page_and_markdown_show_them_in_each_language(found: dict[tuple[str, str], Remedy]) -> None:
    given = replace(synthetic.report_input(synthetic.synthesise(30, window_s=0.5)), remedies=tuple(found.values()))

    assert "## Remedies" in markdown.as_markdown(given)
    assert "## 対策" in markdown.as_markdown(replace(given, say=say.Say("ja")))
    assert "97 % of requests fail" in page.render(given)
    assert "必要な変更" in page.render(replace(given, say=say.Say("ja")))
    assert "remedies-table" not in page.render(replace(given, remedies=()))


def test_each_listener_has_its_own_words_for_a_longer_queue_and_all_handlers_have_a_name() -> None:
    assert set(programs.HANDLERS) == set(SYSTEMS)
    for name, handler in programs.HANDLERS.items():
        queue = has_queue({"handler": name, "mpm": "event"})
        assert (handler.program is not None) is queue, name
    for name, handler in programs.HANDLERS.items():
        if handler.program is not None and handler.name != "mod_cgid":
            observed = programs.program(sut.SYSTEMS[name].program)
            assert observed.queue in handler.program.both, "what observe says of it"
            assert "mod_cgid" not in handler.program.both
