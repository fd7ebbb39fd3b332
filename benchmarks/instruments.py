"""What watching costs: throughput with all default instruments and with strace, each next to none, in blocks.

    python -m benchmarks.instruments [--blocks 50] [--window-s 2]

The ways alternate in random order within each block, on one httpd under one load. What counts are the
ratios within the blocks; their mean and its 95 % interval are Student's t on the logs, as in a verdict.
"""

import argparse
import json
import math
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean

from benchmarks import figures, sites
from benchmarks.figures import Row, Series
from cgidlab import catalogue, execute, harvest, measure, plan, store
from cgidlab.inference.intervals import t_interval
from cgidlab.model import Cell, Level, Plan, Trial

BOUND = 0.01
TRIALS_A_CALL = 30  # of Ansible
BARE, ALL, STRACE = "none", "all default instruments", "strace"
SWITCHES = ("listen_queue", "worker_states", "connect_times", "cgid_daemon", "host")
EXPERIMENT = """\
schema_version: 1
name: instruments
question: What does watching cost?
factors: {{strace: [false, true]}}
settings: {{workers: 200, threads_per_child: 200}}
load: {{loop: closed, driver: h2load, clients: 100}}
warmup_s: 0.5
window_s: {window_s}
repetitions: 1
noise: ignore
"""


def main() -> int:
    """Run the trials, print the ratios and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=50)
    parser.add_argument("--window-s", type=float, default=2.0)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        throughput = _measure(args.blocks, args.window_s, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("instruments", [_row(throughput)])
    return 0


def _row(throughput: list[Mapping[str, float]]) -> Row:
    logs = {way: [math.log(block[way] / block[BARE]) for block in throughput] for way in (ALL, STRACE)}
    found = {way: t_interval(values) for way, values in logs.items()}
    words = []
    for way, interval in found.items():
        assert interval is not None  # noqa: S101 -- there are blocks enough
        low, high = interval.exp().low, interval.exp().high
        words.append(f"{way}: mean ratio {math.exp(mean(logs[way])):.4f}, 95 % interval {low:.4f} to {high:.4f}")
    figures.say("\n".join(words))
    ours = found[ALL]
    return Row(
        "effect of all default instruments on throughput (2 cores, load on the same host)",
        "95 % interval of the mean ratio within +-1 %",
        ours is not None and ours.exp().inside(1 - BOUND, 1 + BOUND),
        (Series("ratio to no instrument, by block", "", [math.exp(v) for v in logs[ALL]]),),
        (Series("strace on connect(), by block", "", [math.exp(v) for v in logs[STRACE]]),),
        "; ".join(words),
    )


def _measure(blocks: int, window_s: float, work: Path) -> list[Mapping[str, float]]:
    """Return each block's throughput by way, in requests a second."""
    known = catalogue.load(sites.LOCAL.roles)
    design = _plan(sites.planned(EXPERIMENT.format(window_s=window_s)), blocks)
    host = sites.provisioned(design, work)
    throughput: list[dict[str, float]] = [{} for _ in range(blocks)]
    kept = work / "kept"
    kept.mkdir()
    for first in range(0, len(design.trials), TRIALS_A_CALL):
        trials = {t.number: t for t in design.trials[first : first + TRIALS_A_CALL]}

        def arrived(arrival: execute.Arrival, trials: Mapping[int, Trial] = trials) -> None:
            if arrival.archive is None:
                return
            trial = trials[arrival.number]
            directory = kept / str(arrival.number)
            harvest.unpack(arrival.archive, directory, store.trial_json(trial, host.host))
            result = json.loads((directory / "result.json").read_text())
            measure.write_rows(directory)
            rps = measure.measure(directory).figures.throughput_rps
            if result["ended"] == "complete" and rps:
                throughput[trial.block - 1][trial.cell.levels[0][1].label] = rps
            shutil.rmtree(directory)
            arrival.archive.unlink()

        run = execute.BlockRun(work / f"b{first}", host, f"{host.work_dir}/bench-{first}")
        played = execute.run_block(sites.LOCAL, run, tuple(trials.values()), known, arrived, lambda: False)
        if not played.ok:
            raise SystemExit(f"a block failed: {played.why}")
        figures.say(f"{first + len(trials)} of {len(design.trials)} trials")
    whole: list[Mapping[str, float]] = [block for block in throughput if len(block) == len(design.cells)]
    if len(whole) < blocks * 0.9:
        raise SystemExit(f"only {len(whole)} of {blocks} blocks are whole")
    return whole


def _plan(template: Plan, blocks: int) -> Plan:
    """Return a plan whose cells differ in what watches, and in nothing else."""
    settings = {
        way: {**template.cells[0].settings, **dict.fromkeys(SWITCHES, way == ALL), "strace": way == STRACE}
        for way in (BARE, ALL, STRACE)
    }
    cells = tuple(
        Cell(id=f"watching={way.replace(' ', '_')}", levels=(("watching", Level(way, way)),), settings=values)
        for way, values in settings.items()
    )
    trials: list[Trial] = []
    for block in range(1, blocks + 1):
        order = list(cells)
        random.Random(block).shuffle(order)  # noqa: S311 -- an order, not a secret
        trials += [
            Trial(len(trials) + n, block, cell, plan.trial_key(cell, block)) for n, cell in enumerate(order, start=1)
        ]
    experiment = replace(template.experiment, instruments=(*SWITCHES, "strace"))
    return Plan(experiment, cells, tuple(trials))


if __name__ == "__main__":
    sys.exit(main())
