"""What a trial costs beside its warm-up and window, next to four other ways to run the same trials.

    python -m benchmarks.trials [--rounds 3] [--trials 10]

All ways run in turns in one go, each with the same httpd, configuration and load: a block of trials through
cgidlab (namespaces, read-back, all default instruments, harvest), a bare shell loop, one `ansible-playbook` a
trial, four Ansible tasks a trial from EnOSlib, and the shell script of the bare loop under IOPS. The last
two are installed into environments of their own from benchmarks/peers/*.lock.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import figures, peers, sites
from benchmarks.figures import Row, Series
from cgidlab.design import catalogue
from cgidlab.engine import execute, handing
from cgidlab.engine.arrivals import Arrival
from cgidlab.model import Plan
from cgidlab.parsers.host_report import HostReport
from cgidlab.runs import harvest, store

WARMUP_S = 0.5
WINDOW_S = 1.0
GOAL_S, GOAL_P95_S = 0.4, 0.8
EXPERIMENT = """\
schema_version: 1
name: overhead
question: What does a trial cost beside its window?
factors:
  listen_backlog: [{levels}]
settings: {{workers: 100, threads_per_child: 25}}
load: {{loop: closed, driver: h2load, clients: 50}}
warmup_s: {warmup}
window_s: {window}
repetitions: {rounds}
limits: off
"""


@dataclass(frozen=True, slots=True)
class Block:
    """What one block of trials took, in seconds; the trials' warm-ups and windows are taken off everywhere."""

    spacing_s: list[float]  # from one trial's begin to the next one's
    wall_s: float  # the whole block with Ansible's start, a trial's share
    phases_s: list[dict[str, float]]
    first: Path  # the first trial's files


def main() -> int:
    """Measure all ways in turns, print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=10)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        rows = _measure(args.rounds, args.trials, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("trials", rows)
    return 0


def _measure(rounds: int, trials: int, work: Path) -> list[Row]:
    design = make_plan(trials, rounds)
    host = sites.provisioned(design, work)
    ways = peers.install()
    blocks: list[Block] = []
    others: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds):
        figures.say(f"round {number + 1} of {rounds}: cgidlab")
        blocks.append(run_block(sites.LOCAL, host, design, number, work))
        script = peers.Script(_prepare(blocks[0].first, work), next(iter(host.httpd.values())).binary)
        for way in ways:
            figures.say(f"round {number + 1} of {rounds}: {way.name}")
            took_s = way.run(script, trials, work)
            others[way.name] += [t - WARMUP_S - WINDOW_S for t in took_s]
    spacing_s = [s for b in blocks for s in b.spacing_s]
    own_s = [sum(v for k, v in p.items() if k not in {"warmup", "window"}) for b in blocks for p in b.phases_s]
    names = {name: [p[name] for b in blocks for p in b.phases_s] for name in blocks[0].phases_s[0]}
    figures.say("phases (median): " + ", ".join(f"{n} {median(v):.3f} s" for n, v in names.items()))
    return [
        Row(
            f"overhead of a trial, `local`, with read-back, all default instruments and harvest; blocks of {trials}",
            f"<= {GOAL_S} s median, p95 <= {GOAL_P95_S} s",
            median(spacing_s) <= GOAL_S and figures.p95(spacing_s) <= GOAL_P95_S,
            (
                Series("from one trial's begin to the next one's", "s", spacing_s),
                Series("the trial's own phases", "s", own_s),
                Series("with Ansible's start, a trial's share of its block", "s", [b.wall_s for b in blocks]),
            ),
            tuple(Series(name, "s", values) for name, values in others.items()),
        )
    ]


def make_plan(trials: int, rounds: int) -> Plan:
    """Return a plan of `rounds` blocks of `trials` trials."""
    levels = ", ".join(str(100 + i) for i in range(trials))
    text = EXPERIMENT.format(levels=levels, warmup=WARMUP_S, window=WINDOW_S, rounds=rounds)
    return sites.planned(text)


def run_block(site: execute.Site, host: HostReport, design: Plan, number: int, work: Path) -> Block:
    """Run one block of the plan on a host and return what it took."""
    block = design.blocks[number]
    run = execute.BlockNeeds(work / f"b{number}", host, f"{host.work_dir}/bench-{number}")
    arrivals: list[Arrival] = []
    began = time.monotonic()
    with handing.BlockCalls(site) as calls:
        played = calls.run(run, block, catalogue.load(site.roles), arrivals.append, lambda: False)
    if not played.ok or len(arrivals) != len(block):
        raise SystemExit(f"a block failed: {played.failures}")
    wall_s = (time.monotonic() - began) / len(block) - WARMUP_S - WINDOW_S
    kept = [_result(a, work / "kept", store.trial_json(block[i], host.host)) for i, a in enumerate(arrivals)]
    results = [json.loads((directory / "result.json").read_text()) for directory in kept]
    wrong = [r["reason"] for r in results if r["ended"] != "complete"]
    if wrong:
        raise SystemExit(f"a trial did not end well: {wrong[0]}")
    begins_ns = sorted(min(p["begin_ns"] for p in r["phases"]) for r in results)
    return Block(
        spacing_s=[(b - a) / 1e9 - WARMUP_S - WINDOW_S for a, b in pairwise(begins_ns)],
        wall_s=wall_s,
        phases_s=[{p["name"]: (p["end_ns"] - p["begin_ns"]) / 1e9 for p in r["phases"]} for r in results],
        first=kept[0],
    )


def _result(arrival: Arrival, kept: Path, trial: dict[str, object]) -> Path:
    if arrival.archive is None:
        raise SystemExit(arrival.reason)
    kept.mkdir(exist_ok=True)
    directory = kept / f"{arrival.number}"
    harvest.unpack(arrival.archive, directory, trial)
    return directory


def _prepare(first: Path, work: Path) -> Path:
    """Return a directory like the trial's, with its httpd.conf, that the other ways start from."""
    directory = work / "peer"
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    write_conf(first, directory, directory / "httpd.conf")
    return directory


def write_conf(trial: Path, directory: Path, conf: Path) -> Path:
    """Write a trial's httpd.conf to `conf` as it would be in `directory`; return it."""
    text = (trial / "httpd.conf").read_text()
    for name in ("ServerRoot", "DefaultRuntimeDir"):
        old = re.search(rf'^{name} "(.+)"$', text, re.MULTILINE)
        if old is None:
            raise SystemExit(f"no {name} in httpd.conf")
        text = text.replace(old.group(1), str(directory))
    conf.write_text(text)
    return conf


if __name__ == "__main__":
    sys.exit(main())
