"""How well a sweep knows its ratios after a quarter of an hour: by the design it has, and then by the one it had.

    python -m benchmarks.decides [--minutes 15] [--results DIR]

The cells of experiments/backlog-sweep.yml, on a host that is provisioned: its own design (windows of a second, blocks
of several passes, one pass in four watched), then windows of ten seconds in blocks of one pass, all of them watched.
Each is cut by `--budget` to the same time. The standard error is that of a log ratio of throughput, of each comparison
by itself. The second row is what the control machine takes while it measures. The third is whether short windows say
the same: of each comparison of throughput and p99 by itself, how far the two designs are apart, as a share of what
their 95 % intervals leave open together; and what watching does, by the first run's passes. With `--results` both runs
are kept.
"""

import argparse
import json
import math
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.children import watch
from benchmarks.figures import ROOT, Row, Series
from cgidlab.analysis.trimmed import standard_error

SWEEP = ROOT / "experiments" / "backlog-sweep.yml"
MOST_BLOCKS = 500  # never reached: the budget ends the run
BESIDE = {"noise": "ignore", "limits": "off"}  # no trial is run again for noise, and nothing else is tried
BEFORE = {"warmup_s": "1.0", "window_s": "10.0", "passes": "1", "watch_every": "1"}
GOAL_CPU_S, GOAL_SHARE, GOAL_BETWEEN_S = 0.1, 0.2, 0.3
BOTH_HOLD = 0.9  # of 18 comparisons one is beyond its 95 % by chance in every second run
GOAL_ERROR = 1.1  # per cent: what 36 blocks of 1 s had in 15.7 minutes


@dataclass(frozen=True, slots=True)
class Between:
    """What lies between two blocks, in seconds, of each two that follow each other."""

    over_s: list[float]  # from a block's last trial to the next one's first
    judged_s: list[float]  # of it, what is left once the last one is judged


@dataclass(frozen=True, slots=True)
class Known:
    """What a run of one design knows."""

    errors: list[float]  # per cent, of each comparison of throughput
    answered: int
    blocks: int
    ratios: dict[tuple[str, str, str], tuple[float, float]]  # log of each comparison, and how far its interval reaches
    watching: dict[str, tuple[float, float, float]]  # watched passes by unwatched ones: ratio, and its 95 % interval
    cpu: dict[str, float]
    between: Between


def main() -> int:
    """Run both designs, print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="of trials, for each design")
    parser.add_argument("--results", type=Path, help="where both runs are kept")
    args = parser.parse_args()
    minutes = args.minutes
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    kept = args.results or work / "results"
    try:
        _first(work)
        budget = ("--budget", f"{60 * minutes:.0f}s")
        found = {}
        for name, changed in (("as it is", {}), ("windows of 10 s, all watched", BEFORE)):
            figures.say(f"the sweep {name}, {minutes:g} minutes")
            text = design(SWEEP.read_text(), {**BESIDE, **changed, "repetitions": str(MOST_BLOCKS)})
            found[name] = _known(run_of(text, work, kept, *budget))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("decides", rows(found, minutes))
    return 0


def design(text: str, changed: dict[str, str]) -> str:
    """Return an experiment file with some of its keys changed; one that stands in another has its spaces in front."""
    for key, value in changed.items():
        line = f"{key}: {value}"
        text, there = re.subn(rf"^{key}:.*$", line, text, flags=re.MULTILINE)
        text += "" if there else f"{line}\n"
    return text


def _first(work: Path) -> None:
    """Build and provision, in a run of which nothing is kept."""
    text = design(SWEEP.read_text(), {**BESIDE, "repetitions": "1"})
    run_of(text, work, work / "results", "--set", "window_s=0.5", "--only", "clients=50")


def run_of(text: str, work: Path, results: Path, *words: str) -> Path:
    """Run an experiment file's text as SWEEP's; return the run."""
    path = work / SWEEP.name
    path.write_text(text)
    # 4: a trial is invalid, and took as long as the others
    watch([sys.executable, str(ROOT / "runner.py"), "run", str(path), "--new", "--results", str(results), *words],
          frozenset({0, 4}))  # fmt: skip
    return (results / SWEEP.stem / "latest").resolve()


def _known(run: Path) -> Known:
    summary = json.loads((run / "summary.json").read_text())
    compared = [e for e in summary["effects"] if e["response"] == "throughput_rps" and not e["pooled"]]
    errors = [100 * standard_error(e["block_sd"], e["blocks"], e["trimmed"]) for e in compared if e["block_sd"]]
    answered = sum(e["answer"] not in {"inconclusive", "described"} for e in compared)
    ratios = {
        (e["response"], e["level"], str(e["at"])): _log_ratio(e)
        for e in summary["effects"]
        if e["smallest"] is not None and not e["pooled"] and e["interval"]
    }
    watching = {o["response"]: (o["ratio"], *o["interval"]) for o in summary["observer"] if o["interval"]}
    return Known(errors, answered, summary["blocks"], ratios, watching, summary["control_cpu"] or {}, between(run))


def _log_ratio(effect: dict[str, Any]) -> tuple[float, float]:
    low, high = (math.log(end) for end in effect["interval"])
    return math.log(effect["estimate"]), (high - low) / 2


def between(run: Path) -> Between:
    """Return what lies between blocks: by the phases of trials, and the times of the files that judge them."""
    edges: dict[int, list[float]] = {}
    judged: dict[int, float] = {}
    for path in run.glob("trials/*/result.json"):
        result: dict[str, Any] = json.loads(path.read_text())
        block = json.loads((path.parent / "trial.json").read_text())["block"]
        since_1970_ns = result["clock"]["realtime_ns"] - result["clock"]["monotonic_ns"]
        ends = (phase[edge] for phase in result["phases"] for edge in ("begin_ns", "end_ns"))
        edges.setdefault(block, []).extend((ns + since_1970_ns) / 1e9 for ns in ends)
        judged[block] = max(judged.get(block, 0.0), (path.parent / "outcome.json").stat().st_mtime)
    over, left = [], []
    for before, after in pairwise(sorted(edges)):
        begins = min(edges[after])
        over.append(begins - max(edges[before]))
        left.append(begins - judged[before])
    return Between(over, left)


def rows(found: dict[str, Known], minutes: float) -> list[Row]:
    """Return both rows; the first of `found` is what there is to judge."""
    ours, *others = ((name, known) for name, known in found.items() if known.errors)
    series = [Series(_named(name, known), "%", known.errors) for name, known in (ours, *others)]
    now = ours[1]
    made = [
        Row(
            f"standard error of a ratio of throughput after {minutes:g} minutes, the sweep's 12 cells",
            f"<= {GOAL_ERROR} % after 15 minutes",
            median(now.errors) <= GOAL_ERROR,
            (series[0],),
            tuple(series[1:]),
        )
    ]
    if now.cpu and now.between.over_s:
        a_trial_s, share = now.cpu["s_per_trial"], 100 * now.cpu["share_in_windows"]
        between_s = median(now.between.over_s)
        made.append(
            Row(
                "what the control machine takes of the machine that is measured, `local`",
                f"<= {GOAL_CPU_S} s of CPU a trial, <= {GOAL_SHARE} % of the cores in windows, "
                f"<= {GOAL_BETWEEN_S} s between blocks",
                a_trial_s <= GOAL_CPU_S and share <= GOAL_SHARE and between_s <= GOAL_BETWEEN_S,
                (
                    Series("CPU of runner and Ansible a trial", "s", [a_trial_s]),
                    Series("their share of all cores in windows", "%", [share]),
                    Series("between two blocks", "s", now.between.over_s),
                    Series("of it, once the last trial is judged", "s", now.between.judged_s),
                ),
            )
        )
    return [*made, *(_same(name, now, known) for name, known in others)]


def _same(name: str, now: Known, then: Known) -> Row:
    """Return whether two designs say the same of each comparison: within what both intervals leave open."""
    both = sorted(now.ratios.keys() & then.ratios.keys())
    apart: dict[str, list[float]] = {}
    for key in both:
        (one, reaches), (other, also) = now.ratios[key], then.ratios[key]
        apart.setdefault(key[0], []).append(abs(one - other) / math.hypot(reaches, also))
    shares = [share for found in apart.values() for share in found]
    beside = [
        Series(f"watched passes by unwatched ones, {response}: ratio, and its 95 % interval", "", list(known))
        for response, known in now.watching.items()
    ]
    return Row(
        f"how far ratios are from those of {name}, as a share of what both 95 % intervals leave open",
        f"<= 1 in {BOTH_HOLD:.0%} of comparisons",
        bool(shares) and sum(share <= 1 for share in shares) >= BOTH_HOLD * len(shares),
        tuple(Series(response, "", found) for response, found in apart.items()),
        tuple(beside),
    )


def _named(name: str, known: Known) -> str:
    return f"{name}: {known.answered} of {len(known.errors)} answered in {known.blocks} blocks"


if __name__ == "__main__":
    sys.exit(main())
