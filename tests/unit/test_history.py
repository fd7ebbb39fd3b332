"""What is new against the latest run, and how all runs of an experiment are shown."""

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgidlab.analysis.change_points import change_points
from cgidlab.compare import Recorded, differing
from cgidlab.compare.fields import Verb
from cgidlab.engine import looking
from cgidlab.errors import SpecError
from cgidlab.report import history as page
from cgidlab.runs import changes, history

PLAN: dict[str, Any] = {
    "schema_version": 1,
    "experiment": "upgrade",
    "question": "Did the upgrade change anything?",
    "target": "local",
    "seed": 1,
    "repetitions": {"min": 6, "max": 6},
    "instruments": [],
    "settings": {"window_s": 5.0},
    "exclude": [],
    "cells": [],
    "factors": {"httpd": [{"label": "distro", "value": "distro"}, {"label": "old", "value": "old"}]},
    "rule": {"factor": "httpd", "reference": "old", "smallest_effects": {"throughput_rps": 0.05}},
}
HTTPD = {
    "version": "2.4.67",
    "source": "apache2 2.4.67-1",
    "source_sha256": "a",
    "compiler": "gcc 12.2.0",
    "build_key": "k1",
}
PROVENANCE: dict[str, Any] = {
    "schema_version": 1,
    "cgidlab": "0.1.0",
    "experiment_sha256": "f",
    "roles_sha256": "r",
    "playbooks_sha256": "p",
    "measuring_sha256": "m",
    "hosts": {"web1": {"facts": {"kernel": "6.1.0"}, "httpd": {"distro": HTTPD}}},
}
RUN = Recorded(PLAN, PROVENANCE)


def changed(where: str, value: object) -> Recorded:
    """Return the run with one value changed: a path through plan or provenance, dots between."""
    both = copy.deepcopy({"plan": PLAN, "provenance": PROVENANCE})
    *path, last = where.split(".")
    place: Any = both
    for name in path:
        place = place[name]
    place[last] = value
    return Recorded(both["plan"], both["provenance"])


@pytest.mark.parametrize(
    ("where", "value", "want"),
    [
        ("provenance.experiment_sha256", "g", "the experiment file"),
        (
            "plan.settings",
            {"window_s": 9.0},
            "what the command line set (--set, --only, --target), settings window_s: 5.0 -> 9.0",
        ),
        ("provenance.roles_sha256", "s", "the roles"),
        ("provenance.playbooks_sha256", "q", "the playbooks"),
        ("provenance.measuring_sha256", "n", "the code that measures"),
        ("provenance.hosts.web1.facts.kernel", "6.12.1", "kernel of web1: 6.1.0 -> 6.12.1"),
        (
            "provenance.hosts.web1.httpd.distro",
            {**HTTPD, "version": "2.4.68", "source": "apache2 2.4.68-1", "build_key": "k2"},
            "httpd distro on web1: 2.4.67 -> 2.4.68",
        ),
        (
            "provenance.hosts.web1.httpd.distro",
            {**HTTPD, "source": "apache2 2.4.67-2", "source_sha256": "b", "build_key": "k2"},
            "httpd distro on web1, source: apache2 2.4.67-1 -> apache2 2.4.67-2",
        ),
        (
            "provenance.hosts.web1.httpd.distro",
            {**HTTPD, "compiler": "gcc 14.2.0", "build_key": "k2"},
            "httpd distro on web1, compiler: gcc 12.2.0 -> gcc 14.2.0",
        ),
        (
            "provenance.hosts.web1.httpd.distro",
            {**HTTPD, "build_key": "k2"},
            "httpd distro on web1, build, by libraries or flags: k1 -> k2",
        ),
    ],
)
def test_whatever_a_result_rests_on_is_a_reason_to_run(where: str, value: object, want: str) -> None:
    found = differing.between(RUN, changed(where, value), Verb.IF_CHANGED)

    assert [str(d) for d in differing.worth_telling(found)] == [want]
    assert any(d.decides for d in found)


@pytest.mark.parametrize(
    ("where", "value"),
    [("provenance.cgidlab", "0.2.0"), ("plan.seed", 7), ("provenance.hosts.web1.facts.boot_id", "another")],
)
def test_what_changes_no_result_is_no_reason(where: str, value: object) -> None:
    assert differing.between(RUN, changed(where, value), Verb.IF_CHANGED) == ()


EFFECT = {
    "factor": "httpd",
    "response": "throughput_rps",
    "level": "new",
    "reference": "old",
    "scale": "ratio",
    "pooled": True,
    "estimate": 0.9,
    "interval": [0.85, 0.95],
    "answer": "costs_at_least",
}
SUMMARY: dict[str, Any] = {
    "schema_version": 1,
    "trials": {"complete": 12, "invalid": 0, "failed": 0},
    "verdict": {"overflow": "not_observed", "lines": ["The queue did not overflow."]},
    "effects": [
        {**EFFECT, "pooled": False, "estimate": 0.5, "interval": None},
        EFFECT,
        {**EFFECT, "response": "latency_p99_ms", "estimate": 3.0},
        {**EFFECT, "level": "older", "estimate": 1.02, "interval": None},
    ],
    "cells": [
        {"levels": {"httpd": "old", "clients": "50"}, "medians": {"throughput_rps": 1000.0}},
        {"levels": {"httpd": "old", "clients": "200"}, "medians": {"throughput_rps": 1200.0}},
        {"levels": {"httpd": "new", "clients": "50"}, "medians": {"throughput_rps": 900.0}},
    ],
}


def _run(results: Path, run_id: str, *, state: str = "finished", run: Recorded = RUN) -> Path:
    directory = results / "upgrade" / run_id
    directory.mkdir(parents=True)
    for name, value in (
        ("plan.json", run.plan),
        ("provenance.json", run.provenance),
        ("state.json", {"schema_version": 1, "state": state}),
        ("summary.json", SUMMARY),
    ):
        (directory / name).write_text(json.dumps(value))
    return directory


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return two finished runs, the second with a newer kernel, and one that ended before its first trial."""
    _run(tmp_path, "20261101T101010Z-aaaa")
    newer = changed("provenance.hosts.web1.facts.kernel", "6.12.1")
    _run(tmp_path, "20261102T101010Z-bbbb", run=newer)
    stopped = _run(tmp_path, "20261103T101010Z-cccc", state="interrupted")
    (stopped / "provenance.json").unlink()
    (tmp_path / "upgrade" / "latest").symlink_to(stopped.name)
    return tmp_path


def test_the_latest_run_to_compare_with_is_the_newest_that_came_to_its_end(results: Path) -> None:
    found = changes.latest_finished(results / "upgrade")

    assert found is not None
    assert found.run_id == "20261102T101010Z-bbbb"
    assert changes.latest_finished(results / "nothing") is None


def test_a_look_that_found_nothing_new_says_what_is_there(results: Path) -> None:
    latest = changes.latest_finished(results / "upgrade")
    state = changes.describe(PROVENANCE)

    assert looking.told(looking.Looked(latest, (), state)) == (
        "nothing changed since 20261102T101010Z-bbbb, so nothing is run (web1: httpd 2.4.67 (distro); kernel 6.1.0)"
    )
    assert not looking.Looked(latest, (), state).reason_to_run
    assert looking.Looked(None, (), state).reason_to_run


def test_an_answer_of_an_older_run_is_read_by_todays_name(results: Path) -> None:
    path = results / "upgrade" / "20261101T101010Z-aaaa" / "summary.json"
    path.write_text(path.read_text().replace("costs_at_least", "costs_less"))

    row = history.rows(results / "upgrade")[0]

    assert {e.answer for e in row.effects} == {"equivalent"}


def test_each_run_has_a_row_with_its_main_effect_and_what_was_new(results: Path) -> None:
    first, second, stopped = history.rows(results / "upgrade")

    assert [(e.level, e.ratio, e.low) for e in first.effects] == [("new", 0.9, 0.85), ("older", 1.02, None)]
    assert (first.changed, second.changed) == ((), ("kernel of web1: 6.1.0 -> 6.12.1",))
    assert first.reference == 1100.0
    assert first.when == "2026-11-01T10:10:10Z"
    assert page.effect_words(first, "new") == "throughput at new against old: ratio 0.90 (0.85 to 0.95)"
    assert (stopped.state, stopped.note) == ("interrupted", "it ended before its first trial")


def test_a_level_that_served_nothing_is_a_ratio_of_zero(results: Path) -> None:
    path = results / "upgrade" / "20261101T101010Z-aaaa" / "summary.json"
    summary = json.loads(path.read_text())
    for effect in summary["effects"]:
        if effect["level"] == "new":
            effect |= {"estimate": 0.0, "interval": None}
    path.write_text(json.dumps(summary))

    row = history.rows(results / "upgrade")[0]

    assert page.effect_words(row, "new").endswith("ratio 0.00")
    assert page.main_level([row]) == "older"
    assert json.loads(page.as_json("upgrade", [row]))["runs"][0]["effects"][0]["ratio"] == 0.0
    data = re.search(r'id="report-data">(.*?)</script>', page.render("upgrade", [row]))
    assert data is not None
    plotted = json.dumps(json.loads(data[1])["specs"]["effect"])
    assert ('"level": "older"' in plotted, '"level": "new"' in plotted) == (True, False), "no axis of ratios has a 0"


def test_a_run_that_cannot_be_read_is_a_row_that_says_so(results: Path) -> None:
    (results / "upgrade" / "20261101T101010Z-aaaa" / "summary.json").write_text('{"schema_version": 9}')

    rows = history.rows(results / "upgrade")

    assert rows[0].state == "unreadable"
    assert "schema_version is 9" in rows[0].note
    assert rows[1].overflow == "not_observed"


@pytest.mark.parametrize("what", ["upgrade", "experiments/upgrade.yml", "results/upgrade"])
def test_an_experiments_runs_are_found_by_its_name_its_file_and_their_directory(results: Path, what: str) -> None:
    assert history.runs_of(what, results) == results / "upgrade"
    assert history.name_of(results / "upgrade") == "upgrade"


def test_an_experiment_that_was_never_run_names_those_that_were(results: Path) -> None:
    with pytest.raises(SpecError) as caught:
        history.runs_of("mpm", results)

    assert "upgrade" in caught.value.fix


def test_the_table_is_the_same_in_every_form(results: Path) -> None:
    rows = history.rows(results / "upgrade")

    table = page.as_markdown("upgrade", rows).splitlines()
    value = json.loads(page.as_json("upgrade", rows))

    assert table[0] == "# upgrade: 3 runs"
    assert len(table) == 4 + len(rows)
    assert "2.4.67" in table[4]
    assert [run["overflow"] for run in value["runs"]] == ["not_observed", "not_observed", ""]
    assert value["runs"][0]["effects"][0]["ratio"] == 0.9
    assert "20261102T101010Z-bbbb  finished: The queue did not overflow" in page.as_text(rows)


def test_the_page_links_to_each_report_and_fetches_nothing(results: Path) -> None:
    text = page.render("up<b>grade", history.rows(results / "upgrade"))

    assert 'href="20261101T101010Z-aaaa/report.html"' in text
    assert "up&lt;b&gt;grade" in text
    assert "<b>grade" not in text
    assert not re.search(r'(?:src|href)="https?:', text)
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', text)[1])  # type: ignore[index]  # fails if not found
    assert set(data["specs"]) == {"effect", "reference"}


# Changes.


def _paced(results: Path, paces: Sequence[float], upgraded: int) -> tuple[page.HistoryRow, ...]:
    """Return the rows of runs of so many requests a second at the reference, with a newer kernel from one on."""
    newer = changed("provenance.hosts.web1.facts.kernel", "6.12.1")
    for n, pace in enumerate(paces, start=1):
        directory = _run(results, f"202611{n:02d}T101010Z-{n:04x}", run=newer if n >= upgraded else RUN)
        cells = [{"levels": {"httpd": "old", "clients": "50"}, "medians": {"throughput_rps": pace}}]
        (directory / "summary.json").write_text(json.dumps({**SUMMARY, "cells": cells}))
    return history.rows(results / "upgrade")


def test_a_level_that_changed_is_said_of_its_run_with_what_came_with_it(tmp_path: Path) -> None:
    paces = [1000, 1006, 995, 1001, 992, 1004, 999, 951, 947, 955, 950]

    rows = _paced(tmp_path, paces, upgraded=8)

    assert [len(row.changes) for row in rows] == [0] * 7 + [1] + [0] * 3
    change = rows[7].changes[0]
    assert (change.response, change.level, change.seen_in) == ("throughput_rps", "", rows[8].run_id)
    assert change.low < 0.95 < change.high
    assert rows[7].changed == ("kernel of web1: 6.1.0 -> 6.12.1",)
    assert "CHANGED with it: throughput at the reference level 5.1 % less (" in page.as_text(rows)
    assert "throughput at the reference level 5.1 % less" in page.as_markdown("upgrade", rows)
    assert json.loads(page.as_json("upgrade", rows))["runs"][7]["changes"][0]["seen_in"] == rows[8].run_id
    assert "strokeDash" in json.dumps(page.plots(rows)["reference"])
    assert "strokeDash" not in json.dumps(page.plots(rows)["effect"])


def test_one_odd_run_is_no_change_and_neither_is_one_that_did_not_finish(tmp_path: Path) -> None:
    rows = _paced(tmp_path, [1000, 1006, 995, 1001, 992, 1004, 999, 700, 1001, 998], upgraded=99)

    assert not any(row.changes for row in rows)


@pytest.mark.parametrize("pace", [9e18, 5e-324])
def test_figures_that_nobody_measured_are_not_compared(tmp_path: Path, pace: float) -> None:
    """A stranger's: the logarithms of what can be written in a document lie further apart than any ratio can be."""
    rows = _paced(tmp_path, [1e-300] * 5 + [pace] * 3, upgraded=99)

    assert [row.state for row in rows] == ["unreadable"] * 8
    assert all("which nobody measured" in row.note for row in rows)
    assert not any(row.changes for row in rows)


@pytest.mark.parametrize("spread", [0.005, 0.01, 0.03])
def test_few_runs_that_are_equal_are_said_to_have_changed(spread: float) -> None:
    rng = np.random.default_rng(4)
    series = [np.exp(rng.normal(0, spread, 40)) for _ in range(60)]

    assert sum(len(change_points(list(map(float, s)))) for s in series) <= 0.01 * 40 * 60


def test_a_step_of_5_percent_is_seen_within_three_runs() -> None:
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(50):
        values = np.exp(rng.normal(0, 0.01, 20)) * np.where(np.arange(20) >= 12, 0.95, 1.0)
        found = change_points(list(map(float, values)))
        seen += any(c.at == 12 and c.seen_at <= 14 for c in found)

    assert seen >= 45
