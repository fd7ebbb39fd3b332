"""Where the time of a sweep goes. How well it is known what is asked afterwards is `decides`' to say.

    python -m benchmarks.measuring [--blocks 2]

experiments/backlog-sweep.yml with fewer blocks, on a host that is provisioned and calibrated. Counted from
the start of runner.py to its end. What the file's own number of blocks would take is calculated from it: a block
more costs as long as from one block's first trial to the next one's. The second row is what a trial of it costs
the control machine, for the calculation of benchmarks/scale.py.
"""

import argparse
import json
import re
import shutil
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean

from benchmarks import figures
from benchmarks.children import Watched, watch
from benchmarks.figures import ROOT, Row, Series

OURS = {"trial.json", "outcome.json", "figures.json", "requests.parquet"}  # what no archive has
PACKED = 1  # as the helper packs
SWEEP = ROOT / "experiments" / "backlog-sweep.yml"
# Builds what the sweep needs and calibrates; its few trials are short.
READY = ("--set", "window_s=0.5", "--only", "clients=50")


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a run went, in seconds."""

    windows: float
    warmups: float
    trials: float  # beside warm-up and window, and from one trial to the next within a block
    before: float  # the first trial
    between: float  # blocks
    after: float  # the last trial
    a_block: float  # from a block's first trial to the next one's

    @property
    def wall(self) -> float:
        """Return the whole."""
        return self.windows + self.warmups + self.trials + self.before + self.between + self.after


def main() -> int:
    """Run the sweep, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=2, help="at least 2")
    blocks = max(2, parser.parse_args().blocks)
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    try:
        # A trial that something else disturbed is not run again: that would be the machine's time, not the runner's.
        text = SWEEP.read_text() + "noise: ignore\nlimits: off\n"
        found = re.search(r"^repetitions: .*max: (\d+).*$", text, re.MULTILINE)
        assert found is not None  # noqa: S101 -- our own file
        whole = int(found[1])
        path = work / SWEEP.name
        path.write_text(text.replace(found[0], f"repetitions: {blocks}"))
        ready = work / "ready.yml"
        ready.write_text(text.replace(found[0], "repetitions: 1"))
        _run(ready, work, *READY)
        figures.say(f"the sweep in {blocks} blocks")
        began_ns = time.monotonic_ns()  # the clock of the phases, on this one machine
        watched = _run(path, work)
        ended_ns = time.monotonic_ns()
        run = (work / "results" / SWEEP.stem / "latest").resolve()
        spent = _spent(run, began_ns, ended_ns)
        costs = _costs(run, watched, spent.between / (blocks - 1))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("measuring", [_row(spent, blocks, whole), costs])
    return 0


def _run(path: Path, work: Path, *words: str) -> Watched:
    command = [sys.executable, str(ROOT / "runner.py"), "run", str(path), "--results", str(work / "results"), *words]
    return watch(command, frozenset({0, 4}))  # 4: a trial is invalid, and took as long as the others


def _costs(run: Path, watched: Watched, between_s: float) -> Row:
    """Return what the control machine spent on a trial, the report and all else included."""
    trials = sorted(path.parent for path in run.glob("trials/*/result.json"))
    kept_kb = [sum(p.stat().st_blocks * 512 for p in trial.rglob("*") if p.is_file()) / 1000 for trial in trials]
    return Row(
        "what a trial of it costs the control machine",
        "-",
        reached=True,
        ours=(
            Series("CPU time of the runner", "s", [watched.own_cpu_s / len(trials)]),
            Series("CPU time of Ansible", "s", [watched.children_cpu_s / len(trials)]),
            Series("between two blocks", "s", [between_s]),
            Series("brought home", "kB", [_packed_kb(trial) for trial in trials]),
            Series("kept", "kB", kept_kb),
            Series("the runner's memory, at most", "MB", [max(watched.own_mb)]),
            Series("Ansible's memory, at most", "MB", [max(watched.children_mb)]),
            Series("the runner's open files, at most", "", [max(watched.descriptors)]),
            Series("the runner's threads, at most", "", [max(watched.threads)]),
        ),
    )


def _packed_kb(trial: Path) -> float:
    """Return how large the archive of a trial's raw files is; the one that came home is gone."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=PACKED) as archive:
            for path in trial.rglob("*"):
                if path.is_file() and path.name not in OURS:
                    archive.add(path, path.relative_to(trial))
        return file.tell() / 1000


def _spent(run: Path, began_ns: int, ended_ns: int) -> Spent:
    """Return where the time went, from the phases of all trials."""
    blocks: dict[int, list[dict[str, tuple[int, int]]]] = {}
    for path in run.glob("trials/*/result.json"):
        phases = {p["name"]: (p["begin_ns"], p["end_ns"]) for p in json.loads(path.read_text())["phases"]}
        block = json.loads((path.parent / "trial.json").read_text())["block"]
        blocks.setdefault(block, []).append(phases)
    windows = _long(blocks, "window")
    warmups = _long(blocks, "warmup")
    edges = sorted(
        (min(begin for trial in trials for begin, _ in trial.values()), max(e for t in trials for _, e in t.values()))
        for trials in blocks.values()
    )
    between = sum(after[0] - before[1] for before, after in pairwise(edges)) / 1e9
    inside = sum(end - begin for begin, end in edges) / 1e9
    return Spent(
        windows=windows,
        warmups=warmups,
        trials=inside - windows - warmups,
        before=(edges[0][0] - began_ns) / 1e9,
        between=between,
        after=(ended_ns - edges[-1][1]) / 1e9,
        a_block=mean(after[0] - before[0] for before, after in pairwise(edges)) / 1e9,
    )


def _long(blocks: dict[int, list[dict[str, tuple[int, int]]]], name: str) -> float:
    spans = (trial[name] for trials in blocks.values() for trial in trials)
    return sum(end - begin for begin, end in spans) / 1e9


def _row(spent: Spent, blocks: int, whole: int) -> Row:
    more = whole - blocks
    of_whole = 100 * spent.windows * whole / blocks / (spent.wall + more * spent.a_block)
    rest = {
        "warm-ups": spent.warmups,
        "trials beside warm-up and window": spent.trials,
        "before the first trial": spent.before,
        "between blocks": spent.between,
        "after the last trial": spent.after,
    }
    return Row(
        "share of a sweep in windows, host provisioned",
        "-",
        True,  # noqa: FBT003 -- there is nothing to reach
        (
            Series(f"backlog-sweep with its {whole} blocks", "%", [of_whole]),
            Series(f"with the {blocks} blocks that were run", "%", [100 * spent.windows / spent.wall]),
        ),
        tuple(Series(f"the rest of the latter: {name}", "%", [100 * s / spent.wall]) for name, s in rest.items()),
        f"{blocks} blocks were run, in {spent.wall:.0f} s; {whole} are calculated, {spent.a_block:.1f} s a block.",
    )


if __name__ == "__main__":
    sys.exit(main())
