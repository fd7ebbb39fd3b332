"""An old build beside the new one: what the plan becomes, when it can be had, what the next look compares with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgidlab.compare.fields import Recorded
from cgidlab.design import beside, catalogue, plan, spec, strict_yaml
from cgidlab.engine.loading import Request, load_plan
from cgidlab.engine.looking import Looked, told
from cgidlab.errors import SpecError
from cgidlab.runs import changes, store
from cgidlab.runs.store import RunDirectory

ROOT = Path(__file__).parents[2]
KEY, NEW_KEY = "0123456789abcdef" + "0" * 48, "f" * 64
SWEEP = ROOT / "experiments" / "backlog-sweep.yml"
UPGRADE = ROOT / "experiments" / "apache-upgrade.yml"


def requested(path: Path, old: tuple[str, str] | None) -> Request:
    return Request(path, ROOT, old=old)


def test_every_cell_runs_with_the_old_and_the_new_build_in_one_block() -> None:
    plain, both = (load_plan(requested(SWEEP, old)).plan for old in (None, ("distro", KEY)))

    assert len(both.cells) == 2 * len(plain.cells)
    first = [t.cell for t in both.trials if t.block == 1]
    assert {c.settings["httpd"] for c in first} == {"distro", "built:0123456789abcdef"}
    pairs = {(c.settings["listen_backlog"], c.settings["clients"]) for c in first}
    assert len(pairs) == len(plain.cells)
    builds = [str(c.settings["httpd"]) for c in first]
    assert builds not in (sorted(builds), sorted(builds, reverse=True)), "interleaved, not one after the other"
    rule = both.experiment.rule
    assert (rule.factor, rule.reference) == ("httpd", "distro before")
    assert rule.smallest_effects == plain.experiment.rule.smallest_effects
    assert both.experiment.source == plain.experiment.source


def test_an_old_build_is_a_further_level_where_httpd_is_a_factor_already() -> None:
    both = load_plan(requested(UPGRADE, ("distro", KEY))).plan.experiment

    (factor,) = (f for f in both.factors if f.name == "httpd")
    assert [level.label for level in factor.levels] == ["distro before", "distro:previous", "distro"]
    assert both.rule.reference == "distro before"


def test_a_build_in_the_cache_is_a_source_that_a_file_may_name() -> None:
    options = catalogue.load(ROOT / "roles")

    assert options.check("httpd", beside.source_of(KEY), "here") == "built:0123456789abcdef"
    with pytest.raises(SpecError, match="does not take"):
        options.check("httpd", "built:../../etc", "here")


def recorded(*builds: tuple[str, str, str], used: tuple[str, ...] = ("distro",)) -> Recorded:
    """Return what a run wrote down of builds: host, level, key."""
    hosts: dict[str, Any] = {}
    for host, level, key in builds:
        hosts.setdefault(host, {"httpd": {}})["httpd"][level] = {"build_key": key}
    return Recorded({"cells": [{"settings": {"httpd": name}} for name in used]}, {"hosts": hosts})


@pytest.mark.parametrize(
    ("before", "now", "want"),
    [
        pytest.param([("a", "distro", KEY)], [("a", "distro", KEY)], (None, ""), id="nothing changed"),
        pytest.param([("a", "distro", KEY)], [("a", "distro", NEW_KEY)], (("distro", KEY), ""), id="changed"),
        pytest.param(
            [("a", "distro", KEY), ("b", "distro", KEY)],
            [("a", "distro", NEW_KEY), ("b", "distro", NEW_KEY)],
            (("distro", KEY), ""),
            id="on two hosts alike",
        ),
        pytest.param(
            [("a", "distro", KEY), ("b", "distro", "1" * 64)],
            [("a", "distro", NEW_KEY), ("b", "distro", NEW_KEY)],
            (None, "the hosts had different builds"),
            id="not alike",
        ),
        pytest.param([], [("a", "distro", NEW_KEY)], (None, ""), id="a new host"),
    ],
)
def test_the_old_build_is_the_one_that_the_last_run_had(
    before: list[tuple[str, str, str]], now: list[tuple[str, str, str]], want: object
) -> None:
    assert changes.old_build(recorded(*before), recorded(*now)) == want


def test_an_old_build_that_is_a_level_already_or_one_of_two_is_not_added() -> None:
    used = ("distro", "distro:previous")
    before = recorded(("a", "distro", KEY), ("a", "distro:previous", "1" * 64), used=used)
    upgraded = recorded(("a", "distro", NEW_KEY), ("a", "distro:previous", "1" * 64), used=used)
    moved = recorded(("a", "distro", NEW_KEY), ("a", "distro:previous", KEY), used=used)
    both = recorded(("a", "distro", NEW_KEY), ("a", "distro:previous", "2" * 64), used=used)

    assert changes.old_build(before, upgraded) == (("distro", KEY), "")
    assert changes.old_build(before, moved) == (None, ""), "distro:previous is what distro was"
    assert changes.old_build(before, both) == (None, "the builds of distro and distro:previous changed at once")


def test_the_next_look_compares_with_what_was_asked_for(tmp_path: Path) -> None:
    plain, both = (load_plan(requested(SWEEP, old)).plan for old in (None, ("distro", KEY)))
    run = store.create(tmp_path, both, "20260101T000000Z-0000")
    run.write("provenance.json", {"hosts": {}})

    assert not changes.is_beside(run)
    changes.keep_asked(run, plain)

    assert changes.is_beside(run)
    assert changes.asked(run).plan["factors"] == store.plan_json(plain)["factors"]
    assert changes.of(run).plan["factors"] == store.plan_json(both)["factors"]
    assert store.experiment_of(run) == both.experiment, "so that the run itself can go on"


def test_the_line_for_cron_says_which_evidence_there_will_be(tmp_path: Path) -> None:
    difference = changes_found()
    looked = Looked(RunDirectory(tmp_path / "r"), difference, "now", ("distro", KEY))

    assert "the build that distro was before runs beside the new one" in told(looked)
    gone = replace(looked, old=None, note="this build is no longer in the cache")
    assert "this build is no longer in the cache), so that two runs are compared" in told(gone)


def changes_found() -> tuple[Any, ...]:
    """Return a difference that is a reason to run."""
    from cgidlab.compare import differing  # noqa: PLC0415 -- one test's
    from cgidlab.compare.fields import Verb  # noqa: PLC0415 -- same

    was, now = recorded(("a", "distro", KEY)), recorded(("a", "distro", NEW_KEY))
    return differing.between(was, now, Verb.IF_CHANGED, ("httpd_build_key",))


def test_a_label_that_the_file_has_already_is_not_taken_twice() -> None:
    document = strict_yaml.read(UPGRADE)
    options = catalogue.load(ROOT / "roles")
    experiment = beside.with_old(spec.build(document, options), "distro", KEY)
    twice = beside.with_old(experiment, "distro", NEW_KEY)

    labels = [level.label for f in twice.factors if f.name == "httpd" for level in f.levels]
    assert len(set(labels)) == len(labels)
    assert plan.make(twice, options).cells
