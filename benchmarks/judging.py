"""How long it takes to unpack, measure and judge the trials of a block, which lies between it and the next one.

    python -m benchmarks.judging RUN [--block 3] [--rounds 6]

The trials of one block of a run are packed again as their host sent them. They are judged in turns as a run does it,
by threads; by two processes; and by two processes that do not wait for the disk. The last is no way to keep a run: it
is the least that two cores can take. Nothing is written into the run.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Series
from cgidlab import files
from cgidlab.engine.blocks import AT_ONCE
from cgidlab.model import NoisePolicy
from cgidlab.runs import harvest, records, store

_PROCESSES = 2
_REST_S = 3.0  # between rounds: what one way leaves to be written is not the next one's


@dataclass(frozen=True, slots=True)
class Packed:
    """A trial as its host sent it."""

    name: str
    archive: Path
    document: dict[str, Any]  # trial.json
    noise: NoisePolicy


def main() -> int:
    """Pack a block, judge it in turns, and print how long each way took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="directory of a run")
    parser.add_argument("--block", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    args = parser.parse_args()
    run = store.open_run(args.run)
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-", dir=run.path.parent) as work, ExitStack() as pools:
        block = packed(run, args.block, Path(work))
        ways: dict[str, Executor] = {
            f"by {AT_ONCE} threads, as a run does it": ThreadPoolExecutor(AT_ONCE),
            f"by {_PROCESSES} processes": _processes(None),
            f"by {_PROCESSES} processes that do not wait for the disk": _processes(_wait_for_no_disk),
        }
        for pool in ways.values():
            pools.enter_context(pool)
            timed(pool, block, Path(work))  # imports
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, pool in ways.items():
                time.sleep(_REST_S)
                taken[name].append(timed(pool, block, Path(work)))
    print(f"{len(block)} trials of {run.run_id}, block {args.block}, on {len(os.sched_getaffinity(0))} cores:")
    for name, seconds in taken.items():
        print(f"  {name}: {Series(name, 's', seconds).text}")
    return 0


def packed(run: store.RunDirectory, block: int, work: Path) -> list[Packed]:
    """Return the trials of a block, packed below `work` with the files that their SHA256SUMS names, and no others."""
    stored, _ = run.stored_trials()
    noise = store.planned(run).noise
    found = []
    for trial in (t for t in stored if t.block == block and (t.directory / "SHA256SUMS").exists()):
        document = json.loads((trial.directory / "trial.json").read_text())
        document.pop(files.SEAL)
        archive = work / f"{trial.directory.name}.tar.gz"
        names = [line.partition("  ")[2] for line in (trial.directory / "SHA256SUMS").read_text().splitlines()]
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for name in (*names, "SHA256SUMS"):
                tar.add(trial.directory / name, name)
        found.append(Packed(trial.directory.name, archive, document, noise))
    return found


def timed(pool: Executor, block: Iterable[Packed], work: Path) -> float:
    """Return how long a pool takes to judge a block, in seconds."""
    with tempfile.TemporaryDirectory(dir=work) as made:
        (Path(made) / "trials").mkdir()
        began_s = time.perf_counter()
        for _ in pool.map(judged, [(trial, made) for trial in block], chunksize=3):
            pass
        return time.perf_counter() - began_s


def judged(given: tuple[Packed, str]) -> None:
    """Do with a trial what a run does with it."""
    trial, made = given
    directory = Path(made) / "trials" / trial.name
    harvest.unpack(trial.archive, directory, trial.document)
    outcome = records.judge(directory, trial.document["key"], trial.noise, trial.document["levels"])
    store.write_outcome(directory, outcome)
    records.load(Path(made), store.read_trial(directory))


def _processes(begin: Callable[[], None] | None) -> Executor:
    # Not forked: Polars has threads.
    return ProcessPoolExecutor(_PROCESSES, mp_context=multiprocessing.get_context("spawn"), initializer=begin)


def _wait_for_no_disk() -> None:
    setattr(os, "fsync", _nothing_of)  # noqa: B010 -- the type checker knows the real one


def _nothing_of(_descriptor: int) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
