"""Which commit changed a response: how a line is halved, what counts as a turn, and what is refused."""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import bisecting as simulated
from benchmarks.window_noise import RECORDED, recorded, replayed
from cgidlab import cli, files
from cgidlab.analysis.bisecting import Ask, Bisection, BuildRatio, Commit, Narrowed, StepShown, Turn, narrow, turn_of
from cgidlab.analysis.findings import Answer
from cgidlab.analysis.intervals import ALPHA, Interval
from cgidlab.design import bisecting as design
from cgidlab.engine import bisect_state, bisecting, commits, readying, running
from cgidlab.engine.bisect_state import BisectState, StepRun
from cgidlab.engine.loading import Request, load_plan
from cgidlab.errors import ProvisionError, RunError, SpecError, StoreError
from cgidlab.model import Experiment, FailureKind, Figures, LimitTrials, Outcome, Status, Trial
from cgidlab.parsers import plan_document, versions
from cgidlab.runs import planned_values, store
from cgidlab.verdict import bisected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "experiments" / "smoke.yml"
SAME = BuildRatio(Answer.EQUIVALENT, 1.0, Interval(0.98, 1.02))
UP = BuildRatio(Answer.COSTS_AT_LEAST, 1.3, Interval(1.2, 1.4))
DOWN = BuildRatio(Answer.GAINS_AT_LEAST, 0.8, Interval(0.7, 0.9))
NEAR = BuildRatio(Answer.REAL_NEAR, 1.05, Interval(1.01, 1.09))
OPEN = BuildRatio(Answer.INCONCLUSIVE, 1.1, Interval(0.9, 1.3))


def changed_at(*places: int, dead: Collection[int] = ()) -> Callable[[Ask], StepShown | None]:
    """Return what is measured without any noise where the response rises with these commits."""

    def level(commit: int) -> int:
        return sum(commit >= place for place in places)

    def between(one: int, other: int) -> BuildRatio:
        return UP if level(other) > level(one) else SAME

    def measure(ask: Ask) -> StepShown | None:
        if ask.middle is None:
            return StepShown(None, between(ask.good, ask.bad))
        if ask.middle in dead:
            return None
        return StepShown(between(ask.good, ask.middle), between(ask.middle, ask.bad))

    return measure


@pytest.mark.parametrize("commits", [1, 2, 3, 7, 32, 33])
def test_a_change_is_found_wherever_it_is_in_as_few_runs_as_halving_takes(commits: int) -> None:
    for place in range(1, commits + 1):
        found = narrow(commits, changed_at(place))

        assert found.found
        assert (found.good, found.bad, found.sign) == (place - 1, place, 1)
        assert len(found.steps) <= 1 + math.ceil(math.log2(commits))
        change = found.change
        assert change is not None
        assert change[1] == UP
        step = change[0]
        assert {place - 1, place} <= {step.ask.good, step.ask.middle, step.ask.bad}, "the pair is of one run"


@pytest.mark.parametrize("dead", [(), (4, 5), (1, 2, 3, 5, 6, 7), (3, 4, 5)])
def test_all_claims_of_a_search_share_one_error(dead: tuple[int, ...]) -> None:
    for place in range(1, 9):
        steps = narrow(8, changed_at(place, dead=dead)).steps

        assert sum(s.ask.error for s in steps if s.turn is not Turn.SKIPPED) <= ALPHA + 1e-12
        assert all(s.ask.error > 0 for s in steps)


def test_ends_without_a_difference_end_the_search() -> None:
    found = narrow(8, changed_at())

    assert (found.sign, found.found, len(found.steps)) == (0, False, 1)
    assert found.steps[0].turn is Turn.OPEN


def test_a_commit_that_cannot_be_built_is_passed_over_for_its_neighbour() -> None:
    found = narrow(8, changed_at(3, dead={4}))

    assert (found.good, found.bad) == (2, 3)
    assert found.skipped == (4,)
    assert [s.ask.middle for s in found.steps[1:3]] == [4, 3]


def test_the_answer_is_a_range_where_the_commits_around_it_cannot_be_built() -> None:
    found = narrow(8, changed_at(4, dead={3, 4, 5}))

    assert (found.good, found.bad, found.found) == (2, 6, False)
    assert set(found.skipped) == {3, 4, 5}
    assert found.change is not None


def test_a_change_in_two_steps_is_a_range() -> None:
    found = narrow(8, changed_at(2, 7))

    assert (found.good, found.bad, found.found) == (0, 8, False)
    assert found.steps[-1].turn is Turn.BETWEEN


@pytest.mark.parametrize(
    ("before", "after", "sign", "want"),
    [
        (SAME, UP, 1, Turn.AFTER),
        (UP, SAME, 1, Turn.BEFORE),
        (SAME, NEAR, 1, Turn.AFTER),
        (SAME, DOWN, -1, Turn.AFTER),
        (SAME, DOWN, 1, Turn.OPEN),  # that is another change than the one that is looked for
        (SAME, SAME, 1, Turn.OPEN),
        (SAME, OPEN, 1, Turn.OPEN),
        (OPEN, UP, 1, Turn.OPEN),
        (UP, UP, 1, Turn.BETWEEN),
        (UP, DOWN, 1, Turn.BETWEEN),
        (OPEN, OPEN, 1, Turn.OPEN),
    ],
)
def test_a_turn_needs_one_end_shown_equal_and_the_other_shown_to_differ(
    before: BuildRatio, after: BuildRatio, sign: int, want: Turn
) -> None:
    assert turn_of(StepShown(before, after), sign) is want


def test_the_same_measurements_lead_to_the_same_questions() -> None:
    """A search that goes on in another process asks its runs again what they showed."""
    first = narrow(20, changed_at(13, dead={10, 15}))
    known = {s.ask: s.shown for s in first.steps}

    assert narrow(20, known.__getitem__) == first


# --- with noise


NOISE = replayed(recorded(RECORDED / "verdict" / "overflow_with_cost" / "trials.csv"))
SEARCHES = 24


def searches(*steps: tuple[int, float], commits: int = 32) -> list[str]:
    rng = np.random.default_rng(5)
    truth = simulated.stepped(commits, *steps)
    changed = {at for at, _ in steps}
    return [simulated.said(narrow(commits, simulated.measure_of(NOISE, rng, truth)), changed) for _ in range(SEARCHES)]


def test_a_loss_of_ten_per_cent_is_found_in_recorded_noise() -> None:
    said = searches((19, -0.10))

    assert said.count("right") >= SEARCHES * 3 // 4, said
    assert said.count("wrong") <= 1, said  # two or more of 24 have a chance of 34 % at 5 % each, and 3 % at 1 % each


def test_a_loss_of_five_per_cent_is_found_or_a_range_and_seldom_wrong() -> None:
    said = searches((7, -0.05))

    assert said.count("wrong") <= 1, said
    assert said.count("right") + said.count("range") >= SEARCHES // 2, said


def test_nothing_is_found_where_nothing_changed() -> None:
    said = searches()

    assert said.count("apart") >= SEARCHES - 1, said


# --- what is run


def builds(**changed: str) -> design.Builds:
    levels = (("good aa", "a" * 40), ("middle cc", "c" * 40), ("bad bb", "b" * 40))
    return replace(design.Builds("/srv/httpd", levels, "middle cc", "throughput_rps", 0.01), **changed)  # type: ignore[arg-type]  # text fields alone


def planned(**changed: str) -> Experiment:
    only = (("listen_backlog", ("1024",)),)
    return load_plan(Request(SMOKE, ROOT, only=only, builds=builds(**changed))).plan.experiment


def test_a_step_is_the_experiment_with_the_commits_as_its_levels() -> None:
    found = planned()

    assert found.name == "smoke-bisect"
    httpd = next(f for f in found.factors if f.name == "httpd")
    assert [lv.value for lv in httpd.levels] == [f"git:/srv/httpd#{c * 40}" for c in "acb"]
    assert (found.rule.factor, found.rule.reference, found.rule.error) == ("httpd", "middle cc", 0.01)
    assert [e.response for e in found.rule.smallest_effects] == ["throughput_rps"]
    assert found.limits is LimitTrials.OFF
    assert (found.repetitions.min, found.repetitions.max) == (6, 60)
    assert found.repetitions.passes == 2


def test_a_plan_keeps_the_error_of_its_claims() -> None:
    plan = load_plan(Request(SMOKE, ROOT, only=(("listen_backlog", ("1024",)),), builds=builds())).plan
    written = versions.stamped("plan.json", planned_values.written(plan))

    read = planned_values.experiment(plan_document.PLAN.parse(json.dumps(written).encode(), where="x"))
    written["rule"]["error"] = 0.5

    assert read.rule == plan.experiment.rule
    with pytest.raises(StoreError, match=r"has an error of 0\.5"):
        plan_document.PLAN.parse(json.dumps(written).encode(), where="x")


def test_a_file_with_several_cells_is_refused_with_what_to_add() -> None:
    with pytest.raises(SpecError) as refused:
        load_plan(Request(SMOKE, ROOT, builds=builds()))

    assert "`listen_backlog` has 2 levels: 5, 1024" in refused.value.what
    assert refused.value.fix == "add --only listen_backlog=5"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"response": "latency_p99"}, "no response is called"),
        ({"response": "errors"}, "no smallest effect of errors"),
        ({"repository": "https://user:S3CRET@example.org/httpd"}, "holds a user or a password"),
        ({"repository": "--upload-pack=x"}, "does not take"),
    ],
)
def test_what_cannot_be_asked_is_refused(changed: dict[str, str], what: str) -> None:
    with pytest.raises(SpecError, match=what) as refused:
        planned(**changed)

    assert "S3CRET" not in str(refused.value)


def test_the_repository_is_that_of_the_files_httpd() -> None:
    assert design.repository_of(["git:/srv/httpd#trunk"]) == "/srv/httpd"
    assert (
        design.repository_of(["git:https://example.org/a#b", "git:https://example.org/a#c"]) == "https://example.org/a"
    )
    assert design.repository_of(["git:/srv/httpd#trunk", "distro"]) == ""
    assert design.repository_of(["git:/a#x", "git:/b#x"]) == ""


# --- commits


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository: one, two, a merge of three, four; and a branch `side` that left after one."""
    place = tmp_path / "httpd"
    place.mkdir()
    git(place, "init", "-q", "-b", "trunk")
    for name in ("one", "two"):
        git(place, "commit", "-q", "--allow-empty", "-m", name)
    git(place, "checkout", "-q", "-b", "topic")
    git(place, "commit", "-q", "--allow-empty", "-m", "three")
    git(place, "checkout", "-q", "trunk")
    git(place, "merge", "-q", "--no-ff", "-m", "merge of \x1b[31mthree", "topic")
    git(place, "commit", "-q", "--allow-empty", "-m", "four")
    git(place, "branch", "side", "trunk~3")
    git(place, "checkout", "-q", "side")
    git(place, "commit", "-q", "--allow-empty", "-m", "aside")
    return place


@pytest.mark.parametrize("form", ["path", "url"])
def test_the_line_is_that_of_first_parents_the_oldest_first(form: str, repository: Path, tmp_path: Path) -> None:
    name = str(repository) if form == "path" else repository.as_uri()

    line = commits.line(name, "trunk~3", "trunk", tmp_path / "cache")

    assert [c.subject for c in line] == ["one", "two", "merge of \N{REPLACEMENT CHARACTER}[31mthree", "four"]
    assert [c.hash for c in line] == [git(repository, "rev-parse", f"trunk~{n}") for n in (3, 2, 1, 0)]
    assert all(c.author_date.startswith("20") for c in line)


def test_the_commits_of_a_url_are_looked_up_again(repository: Path, tmp_path: Path) -> None:
    commits.line(repository.as_uri(), "trunk~1", "trunk", tmp_path / "cache")
    git(repository, "checkout", "-q", "trunk")
    git(repository, "commit", "-q", "--allow-empty", "-m", "five")

    line = commits.line(repository.as_uri(), "trunk~1", "trunk", tmp_path / "cache")

    assert [c.subject for c in line] == ["four", "five"]


def test_what_git_says_of_commits_is_bounded(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of kilobytes may hold subjects of gigabytes."""
    message = tmp_path / "message"
    message.write_text("x" * (3 << 20))
    git(repository, "checkout", "-q", "trunk")
    git(repository, "commit", "-q", "--allow-empty", "-F", str(message))
    assert len(commits.line(str(repository), "trunk~1", "trunk", tmp_path / "cache")) == 2

    monkeypatch.setattr(commits, "_MOST_BYTES", 1 << 20)

    with pytest.raises(StoreError, match="says more than 1 MiB"):
        commits.line(str(repository), "trunk~1", "trunk", tmp_path / "cache")


def test_a_git_that_never_ends_is_ended(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(commits, "_LONGEST_S", 0.3)

    with pytest.raises(SpecError, match="took longer than"):
        commits.line(str(repository), "trunk~1", "trunk", tmp_path / "cache")


@pytest.mark.parametrize("knows_no_lazy_fetch", [True, False])
def test_nothing_that_a_repositorys_own_configuration_names_is_started(
    knows_no_lazy_fetch: bool,  # noqa: FBT001 -- by pytest
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stranger's working copy may have said that a commit is to be fetched by a program, of which git is told."""
    lost = git(repository, "rev-parse", "trunk~1")
    for name, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::sh -c touch% {tmp_path}/started"),
        ("protocol.ext.allow", "always"),
        ("core.fsmonitor", f"touch {tmp_path}/started"),
    ):
        git(repository, "config", name, value)
    (repository / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    if not knows_no_lazy_fetch:
        monkeypatch.delitem(commits.QUIET, "GIT_NO_LAZY_FETCH")

    with pytest.raises((SpecError, StoreError)):
        commits.line(str(repository), "trunk~3", "trunk", tmp_path / "cache")

    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        ("trunk", "trunk~1", "no commit is between"),
        ("trunk", "trunk", "no commit is between"),
        ("side", "trunk", "is not on the line of first parents"),
        ("topic", "trunk", "is not on the line of first parents"),
        ("trunk~1", "nowhere", "has no commit `nowhere`"),
        ("--output=x", "trunk", "is no ref"),
        ("trunk~1", "trunk\n", "is no ref"),
        ("x y", "trunk", "is no ref"),
    ],
)
def test_ends_that_are_none_are_refused(good: str, bad: str, what: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=what) as refused:
        commits.line(str(repository), good, bad, tmp_path / "cache")

    assert refused.value.fix


def test_the_way_out_of_a_good_that_is_on_another_branch_is_said(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        commits.line(str(repository), "side", "trunk", tmp_path / "cache")

    assert refused.value.fix.endswith(f"use --good {git(repository, 'rev-parse', 'trunk~3')[:10]}")


@pytest.mark.parametrize("name", ["/nowhere/httpd", "file:///nowhere/httpd"])
def test_a_repository_that_is_not_there_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no such repository|cannot be fetched"):
        commits.line(name, "a", "b", tmp_path / "cache")


def test_a_directory_within_a_repository_is_none(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "docs").mkdir()
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))

    with pytest.raises(SpecError, match="not a git repository"):
        commits.line(str(repository / "docs"), "trunk~1", "trunk", tmp_path / "cache")


def test_relative_paths_begin_at_the_projects_directory() -> None:
    assert commits.located("../httpd", Path("/srv/lab")) == "/srv/httpd"
    assert commits.located("https://example.org/httpd", Path("/srv/lab")) == "https://example.org/httpd"
    assert commits.located("git@example.org:httpd.git", Path("/srv/lab")) == "git@example.org:httpd.git"


# --- what is kept


BEGUN = BisectState("/srv/httpd", "throughput_rps", "a" * 40, "b" * 40)
RUN = "20261129T120000Z-ab12"


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = BEGUN.with_run(StepRun("a" * 40, None, "b" * 40, RUN)).with_skipped("c" * 40, "make failed")

    bisect_state.write(tmp_path / "bisect-x.json", state)

    assert bisect_state.read(tmp_path / "bisect-x.json", BEGUN) == state
    assert state.run_of(("a" * 40, None, "b" * 40)) == RUN
    assert state.why_skipped("c" * 40) == "make failed"
    assert bisect_state.read(tmp_path / "none.json", BEGUN) == BEGUN


@pytest.mark.parametrize(
    "change",
    [
        {"good": "../../etc"},
        {"repository": "/another"},
        {"steps": [{"good": "a" * 40, "middle": "--x", "bad": "b" * 40, "run": RUN}]},
        {"steps": [{"good": "a" * 40, "middle": None, "bad": "b" * 40, "run": "../other"}]},
        {"skipped": [{"commit": "x", "why": ""}]},
        {"steps": 1},
        {"schema_version": 2},
    ],
)
def test_a_state_that_is_not_ours_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "bisect-x.json"
    bisect_state.write(path, BEGUN)
    value = {**json.loads(path.read_text()), **change}
    value.pop("document_sha256")
    path.write_text(json.dumps(value))

    with pytest.raises(StoreError):
        bisect_state.read(path, BEGUN)


# --- runs that are there, that fail and that are cut


class Host:
    """Stands for hosts: a run ends at once and shows what is true of the commits, but for those that are broken."""

    def __init__(self, repository: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repository, self.results = repository, results
        self.slow_from, self.broken, self.dead, self.ran = "", set[str](), set[str](), list[str]()
        self.killed = False
        monkeypatch.setattr(running, "run", self.run)

    def names(self, *subjects: str) -> list[str]:
        """Return the hashes of commits."""
        found = dict(line.split(" ", 1)[::-1] for line in git(self.repository, "log", "--format=%H %s").splitlines())
        return [found[subject] for subject in subjects]

    def run(self, request: Request, results: Path, _: object, __: object, ___: object, run_id: str) -> None:
        """Do what the engine's does, as far as a bisection sees it."""
        plan = load_plan(request).plan
        levels = next(f.levels for f in plan.experiment.factors if f.name == "httpd")
        made = store.create(results, plan, run_id)
        self.ran.append(run_id)
        if self.killed:
            raise KeyboardInterrupt
        for level in levels:
            if str(level.value).rpartition("#")[2] in self.broken:
                made.set_state(store.INTERRUPTED)
                raise ProvisionError(
                    f"local: httpd {level.value} (git x): make failed: a.c:1: error: no\n  fix: --only x"
                )
        effects = [
            {"response": "throughput_rps", "factor": "httpd", "level": level.label, "reference": levels[0].label,
             "pooled": False, "scale": "ratio", **self.effect(str(level.value), plan.experiment)}
            for level in levels if level.label != plan.experiment.rule.reference
        ]  # fmt: skip
        for trial in plan.trials[: 3 * len(levels) * 2]:
            outcome = self.outcome(trial)
            files.make_directory(made.trials / trial.directory)
            files.write_sealed(made.trials / trial.directory / "trial.json", store.trial_json(trial, "local"))
            store.write_outcome(made.trials / trial.directory, outcome)
        verdict = {"overflow": "", "lines": []}
        made.write("summary.json", {"trials": {}, "verdict": verdict, "effects": effects, "cells": []})
        made.set_state(store.FINISHED, spent={"blocks": 6, "spent_s": 200.0})

    def outcome(self, trial: Trial) -> Outcome:
        """Return how a trial ended."""
        if str(trial.cell.settings["httpd"]).rpartition("#")[2] in self.dead:
            return Outcome(trial.key, Status.FAILED, "httpd did not start", FailureKind.SUT)
        return Outcome(trial.key, Status.COMPLETE, "", None)

    def effect(self, httpd: str, experiment: Experiment) -> dict[str, Any]:
        """Return one build against the reference."""
        reference = next(lv.value for f in experiment.factors if f.name == "httpd" for lv in f.levels
                         if lv.label == experiment.rule.reference)  # fmt: skip
        one, other = (self.is_slow(str(value)) for value in (httpd, reference))
        if one == other:
            return {"estimate": 1.0, "interval": [0.99, 1.01], "answer": "equivalent"}
        if one:
            return {"estimate": 0.5, "interval": [0.45, 0.55], "answer": "costs_at_least"}
        return {"estimate": 2.0, "interval": [1.9, 2.1], "answer": "gains_at_least"}

    def is_slow(self, httpd: str) -> bool:
        """Say whether the change is in a build."""
        return (
            bool(self.slow_from)
            and self.slow_from
            in git(self.repository, "log", "--format=%s", "--first-parent", httpd.rpartition("#")[2]).splitlines()
        )

    def bisect(self, budget_s: float | None = None) -> Bisection:
        """Look for the commit between one and eight."""
        request = Request(SMOKE, ROOT, only=(("listen_backlog", ("1024",)),))
        how = readying.How(budget_s=budget_s, uncalibrated=True)
        good, bad = self.names("c0", "c8")
        place = str(self.repository)
        asked = bisecting.BisectRequest(request, good, bad, "throughput_rps", place, self.results, self.results, how)
        with bisecting.StepDisplay(-1) as display:
            return bisecting.bisect(asked, display, lambda: False)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    place = tmp_path / "line"
    place.mkdir()
    git(place, "init", "-q", "-b", "trunk")
    for number in range(9):
        git(place, "commit", "-q", "--allow-empty", "-m", f"c{number}")
    return Host(place, tmp_path / "results", monkeypatch)


def test_what_was_run_is_not_run_again(host: Host) -> None:
    host.slow_from = "c6"

    first = host.bisect()
    ran = list(host.ran)
    second = host.bisect()

    assert [c.subject for c in first.suspects] == ["c6"]
    assert first.worse is True
    assert second == first
    assert host.ran == ran
    assert len(ran) == 4
    assert len(list((host.results / "smoke-bisect").glob("bisect-*.json"))) == 1


def test_a_step_that_never_came_to_a_trial_is_begun_anew(host: Host) -> None:
    host.slow_from, host.killed = "c2", True
    with pytest.raises(KeyboardInterrupt):
        host.bisect()
    host.killed = False

    found = host.bisect()

    assert [c.subject for c in found.suspects] == ["c2"]
    assert found.runs[0] is not None
    assert Path(found.runs[0]).name == host.ran[1]


def test_a_middle_whose_build_fails_is_skipped_once_and_for_all(host: Host) -> None:
    host.slow_from = "c5"
    host.broken = set(host.names("c4"))

    found = host.bisect()
    ran = list(host.ran)

    assert [c.subject for c in found.suspects] == ["c4", "c5"]
    assert [(c.subject, why) for c, why in found.skipped] == [("c4", "make failed: a.c:1: error: no")]
    assert host.bisect() == found
    assert host.ran == ran


def test_an_end_whose_build_fails_ends_it(host: Host) -> None:
    host.broken = set(host.names("c8"))

    with pytest.raises(ProvisionError) as failed:
        host.bisect()

    assert "make failed" in failed.value.what
    assert failed.value.fix == "name ends that can be built: --good, --bad"


def test_a_middle_that_is_built_and_does_not_run_is_skipped(host: Host) -> None:
    host.slow_from = "c7"
    host.dead = set(host.names("c4"))

    found = host.bisect()

    assert [c.subject for c in found.suspects] == ["c7"]
    assert [(c.subject, why) for c, why in found.skipped] == [
        ("c4", "it was built, and none of its trials is complete")
    ]


def test_an_end_that_does_not_run_ends_it(host: Host) -> None:
    host.dead = set(host.names("c0"))

    with pytest.raises(RunError, match=r"no trial of good [0-9a-f]{10} is complete"):
        host.bisect()


def test_a_build_whose_httpd_never_starts_is_known_after_three_trials() -> None:
    trials = load_plan(Request(SMOKE, ROOT, only=(("listen_backlog", ("1024",)),), builds=builds())).plan.trials
    middle = [t for t in trials if t.cell.label_of("httpd") == "middle cc"]
    with bisecting.StepDisplay(-1) as display:
        seen = []
        for trial in middle[:4]:
            display.trial(trial, Outcome(trial.key, Status.FAILED, "no start", FailureKind.SUT), Figures())
            seen.append(display.is_dead("middle cc"))
        display.trial(middle[4], Outcome(middle[4].key, Status.COMPLETE, "", None), Figures())
        alive = display.is_dead("middle cc")
        display.begin(3)

    assert seen == [False, False, True, True]
    assert not alive
    assert not display.is_dead("good aa")


def test_a_budget_is_for_all_steps_and_more_of_it_goes_on(host: Host) -> None:
    host.slow_from = "c6"

    cut = host.bisect(budget_s=450.0)
    whole = host.bisect(budget_s=3000.0)

    assert cut.budget_ended
    assert len(cut.suspects) > 1
    assert "the budget ended" in bisected.answer(cut)
    assert [c.subject for c in whole.suspects] == ["c6"]
    assert whole.runs[:2] == cut.runs[:2]


def test_a_budget_in_which_nothing_can_be_decided_is_refused_with_one_that_can(host: Host) -> None:
    with pytest.raises(SpecError, match="nothing can be decided in") as refused:
        host.bisect(budget_s=5.0)

    assert "for all steps" in refused.value.fix
    assert not host.ran


# --- the answer


def found(narrowed: Narrowed, response: str = "latency_p99_ms", *, budget_ended: bool = False) -> Bisection:
    last = max(step.ask.bad for step in narrowed.steps)
    line = tuple(Commit(f"{n:040x}", "2026-01-02T03:04:05+00:00", f"subject {n}") for n in range(last + 1))
    skipped = tuple((line[n], "make failed") for n in narrowed.skipped)
    runs = tuple(f"results/x-bisect/run{n}" for n in range(len(narrowed.steps)))
    return Bisection("/srv/httpd", response, 0.2, line, narrowed, runs, skipped, budget_ended)


def never_decided(ask: Ask) -> StepShown:
    return StepShown(None if ask.middle is None else OPEN, UP)


def every_answer() -> dict[str, Bisection]:
    return {
        "commit": found(narrow(8, changed_at(3))),
        "range": found(narrow(8, changed_at(2, 7))),
        "skipped": found(narrow(8, changed_at(4, dead={3, 4, 5}))),
        "apart": found(narrow(8, changed_at())),
        "budget": found(narrow(8, never_decided), budget_ended=True),
        "open": found(narrow(8, never_decided)),
    }


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_answer_can_be_said(language: str) -> None:
    cases = every_answer()

    said = {name: bisected.answer(case, language) for name, case in cases.items()}

    assert len(set(said.values())) == len(cases)
    if language == "en":
        assert said["commit"].startswith(f"{3:040x} is the first commit with p99 latency worse: 1.30 (1.20 to 1.40)")
        assert "subject 3" in said["commit"]
        assert "2026-01-02" in said["commit"]
        assert "one of 8 commits" in said["range"]
        assert "in several steps" in said["range"]
        assert "make failed" in said["skipped"]
        assert "cannot be told apart" in said["apart"]
        assert "the budget ended" in said["budget"]
        assert "is not decided" in said["open"]
    else:
        assert all("95 %" in text and "リポジトリ" in text for text in said.values())


@pytest.mark.parametrize("response", ["latency_p99_ms", "throughput_rps", "cpu_per_request_ms"])
def test_no_line_of_an_answer_in_japanese_is_english_and_its_figures_are_the_same(response: str) -> None:
    own = {"make failed", *(f"subject {n}" for n in range(9))}  # what a program and a commit said stays as it is
    turns = set()
    for case in every_answer().values():
        reasons = zip(case.skipped, (*bisected.REASONS, "make failed") * 3, strict=False)
        named = replace(case, response=response, skipped=tuple((commit, why) for (commit, _), why in reasons))
        english, other = (bisected.answer(named, language).split("\n") for language in ("en", "ja"))
        turns |= {step.turn for step in case.narrowed.steps}

        assert len(other) == len(english)
        for line, before in zip(other, english, strict=True):
            text = re.sub(r"\[.*\]|\S*run\d|/srv/httpd|\d\S*T\S*", "", line)
            for words in own:
                text = text.replace(words, "")
            assert set(re.findall(r"[A-Za-z]{2,}", text)) <= {"good", "bad", "CPU"}, line
            assert sorted(re.findall(r"\d\.\d\d", line)) == sorted(re.findall(r"\d\.\d\d", before))
    assert turns == set(Turn)


def test_each_template_of_an_answer_has_the_same_fields_in_japanese() -> None:
    table = bisected._JAPANESE  # noqa: SLF001 -- a table of texts

    assert [e for e, j in table.items() if set(re.findall(r"\{\w+\}", e)) != set(re.findall(r"\{\w+\}", j))] == []


def test_better_and_worse_are_told_by_the_responses_own_direction() -> None:
    narrowed = narrow(4, changed_at(2))

    assert found(narrowed).worse is True
    assert found(narrowed, "throughput_rps").worse is False
    assert found(narrow(4, changed_at())).worse is None


def test_as_json_the_answer_has_its_evidence() -> None:
    document = json.loads(json.dumps(bisected.document(found(narrow(8, changed_at(3, dead={4}))))))

    assert (document["answer"], document["change"]) == ("commit", "worse")
    assert document["first_bad"]["hash"] == f"{3:040x}"
    assert document["last_good"]["hash"] == f"{2:040x}"
    assert document["ratio"] == {"answer": "costs_at_least", "estimate": 1.3, "interval": [1.2, 1.4]}
    assert document["skipped"][0]["why"] == "make failed"
    assert [s["turn"] for s in document["steps"]][:3] == ["before", "skipped", "before"]
    assert document["steps"][0]["run"] == "results/x-bisect/run0"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "has 2 levels"),
        (("--only", "listen_backlog=1024"), "no repository is named"),
        (("--only", "listen_backlog=1024", "--repository", "/nowhere"), "no such repository"),
        (("--lang", "ja", "--format", "json"), "json is English"),
    ],
)
def test_a_users_mistake_is_one_error_before_anything_is_touched(
    words: tuple[str, ...], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["bisect", str(SMOKE), "--good", "a", "--bad", "b", "--response", "throughput_rps"]
    if not words:
        words = ("--repository", "/nowhere")

    status = cli.main([*asked, "--results", str(tmp_path / "results"), *words])

    said = capsys.readouterr().err
    assert status == 2
    assert what in said
    assert "  fix: " in said
    assert not (tmp_path / "results").exists()
