"""Power that fails and disks that fill up after any operation leave a run that can be read, and that goes on."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgidlab import files
from cgidlab.engine import resuming
from cgidlab.errors import LabError
from cgidlab.model import Plan
from cgidlab.runs import records, status, store
from tests.unit.run_directories import EXPERIMENT, archive, keep, planned

ONE_BLOCK = EXPERIMENT.replace("repetitions: 3", "repetitions: 1")
NEEDS_ROOM = {"create", "write", "mkdir", "link"}


class PowerCutError(BaseException):
    """Nothing after this happens; no handler of the program sees it."""


class Disk:
    """Counts the operations of `files`, and fails from one of them on."""

    def __init__(self, place: Path, fails_at: int | None = None, *, full: bool = False) -> None:
        self.count = 0
        self._fails_at = fails_at
        self._full = full
        self._place = place / "lost"
        self._unsynced: set[Path] = set()
        self._renamed: list[tuple[Path, Path, Path | None]] = []

    def __call__(self, operation: str, path: Path, target: Path | None = None) -> None:
        """Note an operation that is about to happen, or fail instead of it."""
        if self._fails_at is not None and self.count >= self._fails_at:
            if not self._full:
                raise PowerCutError
            if operation in NEEDS_ROOM:
                raise OSError(errno.ENOSPC, "No space left on device")
        self.count += 1
        if operation == "write":
            self._unsynced.add(path)
        elif operation == "sync":
            self._unsynced.discard(path)
        elif operation == "sync_directory":
            self._renamed = [r for r in self._renamed if r[1].parent != path]
        elif operation == "rename" and target is not None:
            self._unsynced = {target / p.relative_to(path) if p.is_relative_to(path) else p for p in self._unsynced}
            self._renamed.append((path, target, self._saved(target)))

    def _saved(self, path: Path) -> Path | None:
        if not path.exists() and not path.is_symlink():
            return None
        self._place.mkdir(exist_ok=True)
        saved = self._place / str(self.count)
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, saved)
        else:
            shutil.copy(path, saved, follow_symlinks=False)
        return saved

    def lose(self) -> None:
        """Lose what a power cut may lose: data that was not synced, names in directories that were not."""
        for path in self._unsynced:
            if path.is_file():
                path.write_bytes(b"")
        for path, target, saved in reversed(self._renamed):
            if target.exists() or target.is_symlink():
                target.rename(path)
            if saved is not None:
                saved.rename(target)


class Life:
    """A run of two trials, from its directory to its last word, without a host."""

    def __init__(self, place: Path, plan: Plan, archives: list[Path]) -> None:
        self.place = place
        self.plan = plan
        self.archives = archives
        self.path = place / "results" / "small" / "a"

    def live(self) -> None:
        """Begin the run and bring it to its end."""
        run = store.create(self.place / "results", self.plan, "a")
        run.write("provenance.json", {"environments": {}})
        self._trials(run, set())

    def go_on(self) -> None:
        """Go on with what there is, or begin where nothing was begun."""
        if not (self.path / "plan.json").exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self.live()
            return
        run = store.open_run(self.path)
        standing = resuming.standing(run, self.plan.experiment)
        resuming.tidy(run, standing.undone)
        run.set_state(store.RUNNING)
        if not (run.path / "provenance.json").exists():
            run.write("provenance.json", {"environments": {}})
        self._trials(run, {r.key for r in standing.done})

    def _trials(self, run: store.RunDirectory, done: set[str]) -> None:
        for trial, packed in zip(self.plan.trials, self.archives, strict=True):
            if trial.key not in done:
                keep(run, packed, trial)
        run.set_state(store.FINISHED)

    def check_readable(self) -> None:
        """Read everything there is, as `report` and `status` do."""
        if not (self.path / "plan.json").exists():
            assert status.latest(self.place / "results") == ()
            return
        run = store.open_run(self.path)
        assert store.experiment_of(run) == self.plan.experiment
        found, damaged = records.load_all(run, verify=True)
        assert damaged == ()
        assert status.status(run.path).done == len(found)

    def shape(self) -> dict[str, object]:
        """Return what has to be the same however often the run was cut."""
        run = store.open_run(self.path)
        return {
            "trials": sorted(str(p.relative_to(run.trials)) for p in run.trials.rglob("*")),
            "outcomes": [json.loads(p.read_text()) for p in sorted(run.trials.glob("*/outcome.json"))],
            "scraps": [p for p in run.path.rglob(".*") if p.name != ".keep"],
            "state": run.state()["state"],
        }


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    # `Disk` knows what was synced; thousands of real ones would take minutes.
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    plan = planned(tmp_path, ONE_BLOCK)
    archives = [archive(tmp_path / f"{trial.number}.tar.gz", trial) for trial in plan.trials]
    yield Life(tmp_path, plan, archives)
    files.before = files.go_on


def again(life: Life) -> None:
    """Make room for another life."""
    shutil.rmtree(life.place / "results", ignore_errors=True)
    shutil.rmtree(life.place / "lost", ignore_errors=True)


def undisturbed(life: Life) -> tuple[int, dict[str, object]]:
    """Return how many operations an undisturbed run takes, and what it leaves."""
    disk = files.before = Disk(life.place)
    life.live()
    files.before = files.go_on
    shape = life.shape()
    again(life)
    return disk.count, shape


@pytest.mark.parametrize("loses", [False, True], ids=["all is written", "what was not synced is lost"])
def test_a_power_cut_after_any_operation_leaves_a_run_that_goes_on(lives: Life, loses: bool) -> None:  # noqa: FBT001 -- a case of the table
    operations, want = undisturbed(lives)
    assert operations > 60
    for cut in range(operations):
        disk = files.before = Disk(lives.place, cut)
        with pytest.raises(PowerCutError):
            lives.live()
        files.before = files.go_on
        if loses:
            disk.lose()

        lives.check_readable()
        lives.go_on()

        assert lives.shape() == want, f"cut after {cut} operations"
        again(lives)


def test_a_disk_that_is_full_from_any_operation_on_leaves_a_run_that_goes_on(lives: Life) -> None:
    operations, want = undisturbed(lives)
    refused = 0
    for cut in range(operations):
        files.before = Disk(lives.place, cut, full=True)
        try:
            lives.live()
        except LabError:  # and nothing else
            refused += 1
        files.before = files.go_on

        lives.check_readable()
        lives.go_on()

        assert lives.shape() == want, f"full after {cut} operations"
        again(lives)
    assert refused > operations / 2
