"""What watching costs: throughput with all default instruments, strace and perf trace, each next to none, in blocks.

    python -m benchmarks.instruments [--blocks 250] [--window-s 1] [--peers-every 12] [--limits-every 2]
        [--apart]

The ways alternate in random order within each block, under the same load; strace and perf trace are in every twelfth
block only. What no instrument here can be cheaper than is in every second one: connect(2)'s tracepoints with no program
there, and a process that wakes as often as the sampler and reads nothing. With --apart each instrument also runs alone,
to tell what the cost is made of. What counts are the ratios within the blocks. The speed of a machine jumps: neighbours
a second apart differ less than windows of ten seconds do, and a few pairs differ by ten times what the others do. So
windows are short and many, and the interval is Tukey and McLaughlin's for the mean of the middle four fifths of the log
ratios; Student's for the mean of all stands beside it.
"""

import argparse
import json
import math
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from benchmarks import figures, perf, sites, tracepoints, waker
from benchmarks.figures import Row, Series
from cgidlab import measure
from cgidlab.analysis.intervals import Interval, t_interval
from cgidlab.design import catalogue, plan
from cgidlab.engine import execute, handing
from cgidlab.engine.arrivals import Arrival
from cgidlab.instruments import INSTRUMENTS
from cgidlab.model import Cell, Level, Plan, Trial
from cgidlab.runs import harvest, store

BOUND = 0.01
WARMUP_S = 0.3
BLOCKS_A_CALL = 24  # of Ansible
TRIMMED = 0.1  # at either end
BARE, ALL, STRACE, PERF = "none", "all default instruments", "strace", "perf trace"
TRACEPOINTS = "connect(2)'s tracepoints alone"
LIMITS = (TRACEPOINTS, waker.NAME)
FROM_OUTSIDE = {PERF: perf.traced, TRACEPOINTS: tracepoints.on, waker.NAME: waker.on}
SWITCHES = tuple(i.name for i in INSTRUMENTS if i.optional and i.observes)
EXPERIMENT = """\
schema_version: 1
name: instruments
question: What does watching cost?
factors: {{strace: [false, true]}}
settings: {{workers: 200, threads_per_child: 200}}
load: {{loop: closed, driver: h2load, clients: 100}}
warmup_s: {warmup_s}
window_s: {window_s}
repetitions: 1
noise: ignore
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one trial showed."""

    throughput_rps: float
    own_cpu_share: float  # the instruments' own CPU time, of all cores
    place: str  # where in the kernel connect() was timed, '' if it was not


Blocks = list[dict[str, Seen]]  # by way


def main() -> int:
    """Run the trials, print the ratios and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=250)
    parser.add_argument("--window-s", type=float, default=1.0)
    parser.add_argument("--peers-every", type=int, default=12)
    parser.add_argument("--limits-every", type=int, default=2)
    parser.add_argument("--apart", action="store_true", help="each instrument alone as well")
    args = parser.parse_args()
    every = dict.fromkeys(LIMITS, args.limits_every) | dict.fromkeys((STRACE, PERF), args.peers_every)
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        blocks = _measure(args.blocks, args.window_s, every, work, SWITCHES if args.apart else ())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("instruments", [_row(blocks)])
    return 0


def _row(blocks: Blocks) -> Row:
    logs = {way: _logs(blocks, way, BARE) for way in (ALL, *LIMITS, STRACE, PERF, *SWITCHES)}
    rest = {way: _logs(blocks, ALL, way) for way in LIMITS}
    middle = trimmed_interval(logs[ALL])
    part = f"the middle {1 - 2 * TRIMMED:.0%} of the ratios have the mean"
    words = [f"{ALL}: {part} {_said(middle.exp())}"]
    words += [
        f"{way}: {part} {_said(trimmed_interval(values).exp())}"
        for way, values in (
            *((way, logs[way]) for way in LIMITS),
            *((f"{ALL}, by {way}", rest[way]) for way in LIMITS),
        )
        if values
    ]
    words += [f"{way} alone: {part} {_said(trimmed_interval(logs[way]).exp())}" for way in SWITCHES if logs[way]]
    for way in (ALL, STRACE, PERF):
        found = t_interval(logs[way])
        if found:
            words.append(f"mean of all, {way}: {_said(found.exp())}")
    if not logs[PERF]:
        words.append("perf is not installed, or traces nothing here")
    places = {block[ALL].place for block in blocks if ALL in block}
    words.append(f"connect() was timed at the kernel's {' and '.join(sorted(places))}")
    own = [100 * b[ALL].own_cpu_share for b in blocks if ALL in b]
    words.append("where no core is idle, throughput falls by the instruments' own share of the cores at least")
    if not middle.exp().inside(1 - BOUND, 1 + BOUND):
        words.append(_why_not(middle, len(logs[ALL])))
    figures.say("\n".join(words))
    return Row(
        f"effect of all default instruments on throughput ({os.cpu_count()} cores, none idle, load on the same host)",
        "95 % interval of the mean ratio within +-1 %",
        middle.exp().inside(1 - BOUND, 1 + BOUND),
        (
            Series("ratio to no instrument, by block", "", [math.exp(v) for v in logs[ALL]]),
            Series("the instruments' own CPU time, of all cores", "%", own),
            *(
                Series(f"ratio to {way}, by block", "", [math.exp(v) for v in values])
                for way, values in rest.items()
                if values
            ),
        ),
        tuple(
            Series(name, "", [math.exp(v) for v in logs[way]])
            for way, name in (
                *((way, f"{way}, by block") for way in LIMITS),
                (STRACE, "strace on connect(), by block"),
                (PERF, "perf trace on connect(), by block"),
            )
            if logs[way]
        ),
        "; ".join(words) + ".",
    )


def _logs(blocks: Blocks, way: str, by: str) -> list[float]:
    return [math.log(b[way].throughput_rps / b[by].throughput_rps) for b in blocks if way in b and by in b]


def _why_not(found: Interval, blocks: int) -> str:
    """Say what stood in the way of an interval inside the bounds: what was found, or the spread."""
    middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    room = math.log1p(BOUND) - abs(middle)
    if room <= 0:
        return "the mean itself is outside of +-1 %"
    # An interval of n blocks is as wide as 1 / sqrt(n).
    return f"at the spread from block to block here, about {blocks * (half / room) ** 2:,.0f} blocks would be needed"


def _said(interval: Interval) -> str:
    middle = math.sqrt(interval.low * interval.high)  # the interval is symmetric in the logs
    return f"{middle:.4f}, 95 % interval {interval.low:.4f} to {interval.high:.4f}"


def trimmed_interval(values: Sequence[float]) -> Interval:
    """Return Tukey and McLaughlin's 95 % interval (Sankhya A 25, 1963) for the mean of what is not trimmed."""
    n = len(values)
    cut = int(TRIMMED * n)
    if n - 2 * cut < 2:  # noqa: PLR2004 -- one value has no spread
        raise SystemExit(f"{n} blocks are too few")
    inner = sorted(values)[cut : n - cut]
    winsorized = [inner[0]] * cut + inner + [inner[-1]] * cut
    half = float(stats.t.isf(0.025, n - 2 * cut - 1)) * stdev(winsorized) / ((1 - 2 * TRIMMED) * math.sqrt(n))
    return Interval(mean(inner) - half, mean(inner) + half)


def _measure(count: int, window_s: float, every: Mapping[str, int], work: Path, apart: Sequence[str]) -> Blocks:
    """Return what each block's trials showed."""
    known = catalogue.load(sites.LOCAL.roles)
    text = EXPERIMENT.format(warmup_s=WARMUP_S, window_s=window_s)
    design = _plan(sites.planned(text), count, every, apart)
    host = sites.provisioned(design, work)
    blocks: Blocks = [{} for _ in range(count)]
    kept = work / "kept"
    kept.mkdir()
    for first in range(1, count + 1, BLOCKS_A_CALL):
        trials = {t.number: t for t in design.trials if first <= t.block < first + BLOCKS_A_CALL}
        run = execute.BlockNeeds(work / f"b{first}", host, f"{host.work_dir}/bench-{first}")

        def arrived(arrival: Arrival, trials: Mapping[int, Trial] = trials) -> None:
            if arrival.archive is None:
                return
            trial = trials[arrival.number]
            directory = kept / str(arrival.number)
            harvest.unpack(arrival.archive, directory, store.trial_json(trial, host.host))
            seen = _seen(directory)
            if seen:
                blocks[trial.block - 1][_way(trial)] = seen
            shutil.rmtree(directory)
            arrival.archive.unlink()

        tracers = {n: FROM_OUTSIDE[_way(t)] for n, t in trials.items() if _way(t) in FROM_OUTSIDE}
        with perf.attached_to(run.host_directory, tracers) as attached, handing.BlockCalls(sites.LOCAL) as calls:
            played = calls.run(run, tuple(trials.values()), known, arrived, lambda: False)
        if not played.ok:
            raise SystemExit(f"a block failed: {played.why}")
        for number in (
            tracers.keys() - attached
        ):  # known only now: a tracer may need longer to end than a trial to arrive
            blocks[trials[number].block - 1].pop(_way(trials[number]), None)
        figures.say(f"{min(first + BLOCKS_A_CALL - 1, count)} of {count} blocks")
    pairs = sum(1 for block in blocks if {BARE, ALL} <= set(block))
    if pairs < count * 0.9:
        raise SystemExit(f"only {pairs} of {count} blocks are whole")
    return blocks


def _seen(directory: Path) -> Seen | None:
    result = json.loads((directory / "result.json").read_text())
    measure.write_rows(directory)
    rps = measure.measure(directory).figures.throughput_rps
    if result["ended"] != "complete" or not rps:
        return None
    # An instrument watches from the warm-up to the end of the window.
    watched_ns = sum(p["end_ns"] - p["begin_ns"] for p in result["phases"] if p["name"] in {"warmup", "window"})
    own_ns = sum(entry.get("cpu_ns") or 0 for entry in result["instruments"].values())
    place = result["instruments"].get("connect_times", {}).get("place", "")
    return Seen(rps, own_ns / watched_ns / (os.cpu_count() or 1), place)


def _way(trial: Trial) -> str:
    return trial.cell.levels[0][1].label


def _plan(template: Plan, blocks: int, every: Mapping[str, int], apart: Sequence[str]) -> Plan:
    """Return a plan whose cells differ in what watches, and in nothing else."""
    settings = {
        way: {**template.cells[0].settings, **{s: way in (ALL, s) for s in SWITCHES}, "strace": way == STRACE}
        for way in (BARE, ALL, *LIMITS, STRACE, PERF, *apart)
    }
    cells = tuple(
        Cell(id=f"watching={way.replace(' ', '_')}", levels=(("watching", Level(way, way)),), settings=values)
        for way, values in settings.items()
    )
    trials: list[Trial] = []
    for block in range(1, blocks + 1):
        order = [c for c in cells if block % every.get(c.levels[0][1].label, 1) == 0]
        random.Random(block).shuffle(order)  # noqa: S311 -- an order, not a secret
        trials += [
            Trial(len(trials) + n, block, cell, plan.trial_key(cell, block)) for n, cell in enumerate(order, start=1)
        ]
    experiment = replace(template.experiment, instruments=(*SWITCHES, "strace"))
    return Plan(experiment, cells, tuple(trials))


if __name__ == "__main__":
    sys.exit(main())
