"""A run goes on where it ended: what counts stays, everything else is run again, and nothing is mixed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cgidlab import cli, files
from cgidlab.engine import locking, resuming
from cgidlab.engine.loading import Request
from cgidlab.errors import ProvisionError, SpecError, StoreError
from cgidlab.model import FailureKind, Outcome, Status, Trial
from cgidlab.runs import harvest, provenance, store
from tests.unit.run_directories import EXPERIMENT, ROOT, archive, file, keep, planned

RECORDED = {
    **provenance.code(ROOT),
    "hosts": {"local": {"facts": {}, "httpd": {}}},
    "environments": {"local": {"id": "env"}},
}


class Lab:
    """Results of one experiment, some of whose trials were done."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.results = place / "results"
        self.plan = planned(place)
        self.request = Request(place / "small.yml", ROOT)

    def run(self, name: str, state: str = store.INTERRUPTED, done: int = 0) -> store.RunDirectory:
        """Make a run of which the first trials are complete."""
        run = store.create(self.results, self.plan, name)
        for trial in self.plan.trials[:done]:
            self.keep(run, trial)
        run.write("provenance.json", RECORDED)
        run.set_state(state, expected_trials=len(self.plan.trials))
        return run

    def keep(self, run: store.RunDirectory, trial: Trial, **how: str) -> Path:
        """Keep one trial, complete unless said otherwise."""
        return keep(run, archive(self.place / "a.tar.gz", trial, **how), trial)

    def load(self, run: store.RunDirectory) -> resuming.Continued:
        """Return what a run needs to go on."""
        return resuming.load(run, ROOT, self.request)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


# Which run.


def test_an_interrupted_run_of_the_same_file_is_found(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa", done=2)

    found = resuming.interrupted(lab.request, lab.results)

    assert found is not None
    assert (found.directory, found.done, found.pending) == (run.path, 2, 4)


def test_a_run_that_was_finished_after_the_interrupted_one_settles_it(lab: Lab) -> None:
    lab.run("20260101T000000Z-aaaa", done=2)
    lab.run("20260102T000000Z-bbbb", store.FINISHED, done=6)

    assert resuming.interrupted(lab.request, lab.results) is None


def test_a_run_with_other_settings_is_not_the_same(lab: Lab) -> None:
    lab.run("20260101T000000Z-aaaa", done=2)
    other = Request(lab.request.experiment, ROOT, overrides=(("window_s", "9"),))

    assert resuming.interrupted(other, lab.results) is None
    assert resuming.latest(lab.results, other).run_id == "20260101T000000Z-aaaa"


def test_a_run_is_named_by_its_id_or_its_directory(lab: Lab) -> None:
    run = lab.run("20260101T000000Z-aaaa")

    assert store.find(lab.results, run.run_id) == run
    assert store.find(lab.results, str(run.path)) == run
    assert store.find(lab.results, str(run.path.parent / "latest")) == run
    for word in ("nothing", "../small", "*"):
        with pytest.raises(SpecError, match="no run is called"):
            store.find(lab.results, word)


def test_without_a_terminal_the_user_has_to_say_which(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("20260101T000000Z-aaaa", done=2)

    exit_status = cli.main([str(lab.request.experiment), "--results", str(lab.results)])

    said = capsys.readouterr().err
    assert exit_status == 2
    assert f"{run.run_id}, 2 trials done, 4 pending" in said
    assert "--resume" in said
    assert "--new" in said
    assert len(list(lab.results.glob("small/2*"))) == 1, "nothing was begun"


@pytest.mark.parametrize("args", [["--resume"], ["--resume", "no-such-run"]])
def test_a_run_that_is_not_there_cannot_go_on(lab: Lab, args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lab.run("20260101T000000Z-aaaa", store.FINISHED, done=6)

    assert cli.main([str(lab.request.experiment), "--results", str(lab.results), *args]) == 2
    assert capsys.readouterr().err.startswith("error: no run ")


# What counts.


def test_trials_with_a_sound_outcome_count_and_all_others_are_run_again(lab: Lab) -> None:
    run = lab.run("a", done=4)
    changed, torn, unfinished = (run.trials / t.directory for t in lab.plan.trials[1:4])
    (changed / "logs" / "error_log").write_bytes(b"onf\n")
    (torn / "outcome.json").write_text('{"schema_version": 1, "key"')
    (unfinished / "outcome.json").unlink()

    continued = lab.load(run)

    assert [r.number for r in continued.done] == [1]
    assert continued.pending == 5
    assert dict(continued.undone) == {
        changed: "the file does not have its checksum",
        torn: dict(continued.undone)[torn],
        unfinished: "the file is missing",
    }
    assert "cannot be read" in dict(continued.undone)[torn]


def rewritten(trial: Path, change: dict[str, object]) -> None:
    """Change what a host said of a trial, with the checksum that it then has."""
    path, sums = trial / "result.json", trial / "SHA256SUMS"
    before = harvest.sha256(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    sums.write_text(sums.read_text().replace(before, harvest.sha256(path)))


def renamed(trial: Path, change: dict[str, object]) -> None:
    """Change what a trial was meant to be, with the checksum that it then has."""
    path = trial / "trial.json"
    value = json.loads(path.read_text())
    value.pop(files.SEAL)
    files.write_sealed(path, {**value, **change})


@pytest.mark.parametrize("measured", [True, False], ids=["with its figures", "without"])
@pytest.mark.parametrize(
    ("how", "change", "why"),
    [
        (rewritten, {"schema_version": 99}, "schema_version is 99"),
        (rewritten, {"clock": None}, "clock"),
        (renamed, {"schema_version": 99}, "schema_version is 99"),
        (renamed, {"levels": {"listen_backlog": "6"}}, "its levels are none of the plan's"),
        (renamed, {"number": 1}, "its number, 1, is another trial's"),
    ],
    ids=["another version", "a field that is none", "another version of ours", "another plan's", "another's number"],
)
def test_a_document_that_has_its_checksum_and_is_none_costs_its_trial_alone(
    lab: Lab, how: Callable[[Path, dict[str, object]], None], change: dict[str, object], why: str, *, measured: bool
) -> None:
    run = lab.run("a", done=4)
    spoilt = run.trials / lab.plan.trials[2].directory
    how(spoilt, change)
    if not measured:
        (spoilt / "figures.json").unlink()

    continued = lab.load(run)

    assert [r.number for r in continued.done] == [1, 2, 4]
    assert [d for d, _ in continued.undone] == [spoilt]
    assert why in dict(continued.undone)[spoilt]
    assert continued.pending == 3


@pytest.mark.parametrize("name", ["plan.json"])
def test_without_what_a_run_was_to_be_it_does_not_go_on(lab: Lab, name: str) -> None:
    run = lab.run("a", done=2)
    (run.path / name).write_text('{"schema_version": 1}')

    with pytest.raises(StoreError, match=name):
        lab.load(run)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [("sut", True), ("treatment", True), ("client", True), ("timeout", True), ("infra", False), ("interrupted", False)],
)
def test_whether_a_failure_counts_depends_on_its_kind(lab: Lab, kind: str, counts: bool) -> None:  # noqa: FBT001 -- a case of the table
    run = lab.run("a")
    lab.keep(run, lab.plan.trials[0], ended="failed", kind=kind, reason="why")

    assert [r.number for r in lab.load(run).done] == ([1] if counts else [])


def test_a_trial_that_never_came_home_is_run_again_whatever_its_kind(lab: Lab) -> None:
    run = lab.run("a")
    directory = run.trials / lab.plan.trials[0].directory
    directory.mkdir()
    (directory / "trial.json").write_text(json.dumps(store.trial_json(lab.plan.trials[0], "local", "env")))
    store.write_outcome(directory, Outcome(lab.plan.trials[0].key, Status.FAILED, "lost", FailureKind.TIMEOUT))

    assert lab.load(run).undone == ((directory, "the trial has no SHA256SUMS"),)


def test_trials_that_came_home_to_a_runner_which_was_killed_are_kept_and_not_run_again(lab: Lab) -> None:
    run = lab.run("a", done=1)
    incoming = run.path / "ansible" / "block-001" / "incoming"
    incoming.mkdir(parents=True)
    arrived, foreign, torn, unknown = (*lab.plan.trials[1:4], lab.plan.trials[4])
    for trial, host in ((arrived, "local"), (foreign, "elsewhere"), (torn, "local"), (unknown, "local")):
        packed = archive(incoming / f"{trial.number:03d}.tar.gz", trial)
        said = {"number": trial.number, "host": host, "state": "ended", "ended": "complete", "archive": str(packed)}
        number = 900 if trial is unknown else trial.number
        (incoming / f"{trial.number:03d}.arrival.json").write_text(json.dumps({**said, "number": number}))
    (incoming / f"{torn.number:03d}.arrival.json").write_text('{"number": ')

    continued = lab.load(run)

    assert [r.number for r in continued.done] == [1, arrived.number]
    assert store.read_trial(run.trials / arrived.directory).environment == "env"
    assert sorted(p.name for p in run.trials.iterdir()) == sorted(t.directory for t in lab.plan.trials[:2])


def test_what_does_not_count_is_put_away_and_scraps_are_removed(lab: Lab) -> None:
    run = lab.run("a", done=2)
    spoilt = run.trials / lab.plan.trials[0].directory
    (spoilt / "outcome.json").unlink()
    for scrap in (run.trials / ".003-x.partial", run.path / "ansible" / "block-001" / "incoming"):
        scrap.mkdir(parents=True)
        (scrap / "file").write_text("half")
    (run.path / ".state.json.x1y2z3").write_text("half")
    before = {p.name for p in run.path.iterdir()} - {".state.json.x1y2z3"}

    resuming.tidy(run, lab.load(run).undone)

    assert [p.name for p in run.trials.iterdir()] == [lab.plan.trials[1].directory]
    assert (run.path / resuming.DISCARDED / f"{spoilt.name}.1" / "result.json").exists()
    assert {p.name for p in run.path.iterdir()} == before | {resuming.DISCARDED}
    assert not (run.path / "ansible" / "block-001" / "incoming").exists()


# Whether it may.


def test_a_run_in_which_nothing_changed_may_go_on(lab: Lab) -> None:
    run = lab.run("a", done=2)

    assert lab.load(run).differences == ()


def test_everything_that_changed_is_named_and_only_what_is_accepted_passes(lab: Lab, tmp_path: Path) -> None:
    run = lab.run("a", done=2)
    stored = run.read("plan.json")
    for cell in stored["cells"]:
        cell["settings"]["burn_ms"] = 77
    run.write("plan.json", stored)
    run.write("provenance.json", {**RECORDED, "roles_sha256": "0" * 64})
    file(tmp_path, EXPERIMENT + "# edited\n")

    continued = lab.load(run)
    found = continued.differences

    with pytest.raises(SpecError) as caught:
        resuming.refuse(continued, found, ["roles"])
    assert "settings: setting burn_ms changed: 77, now " in caught.value.what
    assert "experiment: the experiment file changed: " in caught.value.what
    assert "roles" not in caught.value.what
    assert "--accept-changed settings --accept-changed experiment" in caught.value.fix
    resuming.refuse(continued, found, ["roles", "settings", "experiment"])


def test_a_field_that_there_is_not_cannot_be_accepted(lab: Lab) -> None:
    run = lab.run("a")

    with pytest.raises(SpecError, match="no field is called `role`"):
        resuming.refuse(lab.load(run), (), ["role"])


def test_a_trial_keeps_its_key_when_changed_settings_are_accepted(lab: Lab) -> None:
    run = lab.run("a", done=2)
    stored = run.read("plan.json")
    for cell in stored["cells"]:
        cell["settings"]["burn_ms"] = 77
    run.write("plan.json", stored)

    assert [t.key for t in lab.load(run).loaded.plan.trials] == [t["key"] for t in stored["trials"]]


def test_the_words_of_the_command_line_have_to_ask_for_the_same_run(lab: Lab) -> None:
    run = lab.run("a", done=1)
    asked = Request(lab.request.experiment, ROOT, overrides=(("window_s", "9"),))

    found = resuming.load(run, ROOT, asked).differences

    assert {d.field for d in found} == {"command_line"}
    assert "9.0" in str(found[0])


def test_without_provenance_a_run_with_no_trial_goes_on(lab: Lab) -> None:
    run = lab.run("a")
    (run.path / "provenance.json").unlink()

    assert lab.load(run).differences == ()


# One at a time.

HOLD = """\
import pathlib, sys
from cgidlab.engine import locking
with locking.of_run(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_in_a_run_directory_is_refused_and_a_dead_one_holds_nothing(lab: Lab) -> None:
    run = lab.run("a")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(ProvisionError, match=f"in use: process {holder.pid} "), locking.of_run(run.path):
            pass

        holder.kill()
        holder.wait()
        with locking.of_run(run.path):
            pass
    shutil.rmtree(run.path)  # nothing of the lock stays
