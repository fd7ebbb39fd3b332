"""Records the runs that tests/unit/test_verdict.py judges: real ones, each made to be of one kind.

    python scripts/record_verdict_runs.py KIND...          runs KIND's experiment.yml and keeps its rows
    python scripts/record_verdict_runs.py --keep RUN KIND  keeps the rows of a run that was made before

Needs root, about a minute a kind. What it changes for a kind, beside the experiment file, is below and nowhere else.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgidlab.runs import blockwise, records, store, tables  # noqa: E402 -- not installed: it is found beside this script

DATA = ROOT / "tests" / "data" / "verdict"
HELD_BACK_US = 3_000  # of each 100,000
EFFECT = ("response", "level", "at", "pooled", "estimate", "interval", "family_interval", "answer")  # kept of each

SLOW_READ = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

static long used_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

ssize_t read(int fd, void *to, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t got = real(fd, to, size);
    if (got > 8) /* what wakes an event loop is 8 bytes long, an answer is longer */
        for (long until = used_ns() + 2000000L; used_ns() < until;) {}
    return got;
}
"""


@dataclass(frozen=True)
class Conditions:
    """What a run is made under."""

    root: Path
    words: tuple[str, ...] = ()
    path: str = ""  # in front of PATH


@contextmanager
def as_it_is() -> Iterator[Conditions]:
    """Change nothing."""
    yield Conditions(ROOT)


@contextmanager
def blind_queue_witness(*words: str) -> Iterator[Conditions]:
    """Work on a copy of the project whose listen_queue looks at a listening socket of its own."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("cgidlab", "inventories", "playbooks", "roles"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
        for name in ("runner.py", "ansible.cfg"):
            shutil.copy(ROOT / name, copy / name)
        instrument = copy / "roles/trial/files/cgidhost/instruments/listen_queue.py"
        text = instrument.read_text()
        before = "        try:\n            self._diag = SockDiag()\n"
        decoy = (
            "        import socket\n"
            "        self._decoy = socket.socket(socket.AF_UNIX)\n"
            "        self._decoy.bind('/run/decoy')\n"
            "        self._decoy.listen(1 if listener is None else listener.queue.limit)\n"
            "        listener = SockDiag().find_unix('/run/decoy')\n"
        )
        if text.count(before) != 1:
            sys.exit(f"{instrument}: the place to blind it has changed")
        instrument.write_text(text.replace(before, decoy + before))
        yield Conditions(copy, words)


def _h2load() -> str:
    found = shutil.which("h2load")
    return found or sys.exit("h2load is not installed")


@contextmanager
def _named_h2load(text: str) -> Iterator[Path]:
    """Put a shell script named h2load into a directory that every user may read, and return that directory."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        program = directory / "h2load"
        program.write_text(f"#!/bin/sh\n{text}")
        program.chmod(0o755)
        yield directory


@contextmanager
def slow_load_generator() -> Iterator[Conditions]:
    """Put a program named h2load first in PATH that runs the real one with a read() that burns 2 ms for each answer."""
    real = _h2load()
    with _named_h2load(f'LD_PRELOAD=$(dirname "$0")/slow_read.so exec {real} "$@"\n') as directory:
        source, library = directory / "slow_read.c", directory / "slow_read.so"
        source.write_text(SLOW_READ)
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)  # noqa: S607 -- the one in PATH
        library.chmod(0o755)
        yield Conditions(ROOT, path=str(directory))


@contextmanager
def held_back_load_generator() -> Iterator[Conditions]:
    """Put a program named h2load first in PATH that runs the real one in a control group with a small CPU quota."""
    real = _h2load()
    version_1 = Path("/sys/fs/cgroup/cpu")
    group = (version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")) / "cgidlab-held-back"
    group.mkdir()
    try:
        if version_1.is_dir():
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(HELD_BACK_US))
        else:
            (group / "cpu.max").write_text(f"{HELD_BACK_US} 100000")
        with _named_h2load(f'echo 0 > {group}/cgroup.procs\nexec {real} "$@"\n') as directory:
            yield Conditions(ROOT, path=str(directory))
    finally:
        group.rmdir()


KINDS: dict[str, Callable[[], AbstractContextManager[Conditions]]] = {
    "overflow_undecided": as_it_is,
    "overflow_without_cost": as_it_is,
    "no_overflow": as_it_is,
    "better_and_worse": as_it_is,
    "no_witness": as_it_is,
    "handlers": as_it_is,
    "broken_instrument": blind_queue_witness,
    "contradictory_witnesses": lambda: blind_queue_witness("--uncalibrated"),
    "held_back_load_generator": held_back_load_generator,
    "saturated_load_generator": slow_load_generator,
}


def record(kind: str) -> None:
    """Run a kind's experiment under its conditions and keep its rows."""
    experiment = DATA / kind / "experiment.yml"
    with tempfile.TemporaryDirectory() as results, KINDS[kind]() as conditions:
        environment = {**os.environ, "PATH": f"{conditions.path}:{os.environ['PATH']}".lstrip(":")}
        words = [str(experiment), "--results", results, *conditions.words]
        subprocess.run(  # its exit status says that trials are invalid, which may be the point
            [sys.executable, "runner.py", *words], cwd=conditions.root, env=environment, check=False
        )
        (run,) = (p for p in Path(results).glob("*/2*") if p.parent.name != "calibration")
        keep(run, kind)


def keep(run: Path, kind: str) -> None:
    """Keep what a verdict needs of a run: its rows, its plan without the order, what it knew of its witnesses.

    And what the run itself said, to be compared with; what limits is read from there.
    """
    directory = DATA / kind
    directory.mkdir(exist_ok=True)
    shutil.copy(run / "trials.csv", directory / "trials.csv")
    shutil.copy(run / "experiment.yml", directory / "experiment.yml")
    keep_whole_blocks(run, directory / "whole_blocks.csv")
    plan = json.loads((run / "plan.json").read_text())
    del plan["trials"]
    plan.pop("document_sha256", None)  # it is of the whole document
    provenance = json.loads((run / "provenance.json").read_text())
    known = {name: provenance[name] for name in ("calibration", "load_headroom") if name in provenance}
    known["recorded"] = {
        "run": run.name,
        "kernel": {host: entry["facts"]["kernel"] for host, entry in provenance["hosts"].items()},
        "httpd": {
            host: {name: httpd["version"] for name, httpd in entry["httpd"].items()}
            for host, entry in provenance["hosts"].items()
        },
    }
    summary = json.loads((run / "summary.json").read_text())
    said = {
        "schema_version": summary["schema_version"],
        "verdict": {name: summary["verdict"][name] for name in ("answers", "shown")},
        "effects": [{name: effect[name] for name in EFFECT} for effect in summary["effects"]],
    }
    documents = {"plan.json": plan, "provenance.json": {"schema_version": 1, **known}, "summary.json": said}
    for name, value in documents.items():
        (directory / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(f"{kind}: kept {directory}")


def keep_whole_blocks(run: Path, to: Path) -> None:
    """Keep a row for each cell and block of several passes: the percentiles of its windows together."""
    trials, damaged = records.load_all(store.RunDirectory(run), keep=False)
    whole, torn = blockwise.Blockwise(run).of(trials)
    if damaged or torn:
        sys.exit(f"{run}: {(*damaged, *torn)[0]}")
    to.unlink(missing_ok=True)
    if whole:
        with tempfile.TemporaryDirectory() as directory:
            tables.write(Path(directory), whole)
            shutil.copy(Path(directory) / "trials.csv", to)


def main() -> None:
    """Record the kinds that are named, or keep a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--keep", type=Path, metavar="RUN", help="a finished run's directory")
    args = parser.parse_args()
    if args.keep:
        keep(args.keep.resolve(), args.kinds[0])
        return
    for kind in args.kinds:
        if kind not in KINDS:
            parser.error(f"{kind} is none of {', '.join(KINDS)}")
        record(kind)


if __name__ == "__main__":
    main()
