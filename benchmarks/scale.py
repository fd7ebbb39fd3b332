"""What a sweep of 10,000 trials over 50 servers would cost, calculated from kept results; prints the section.

    python -m benchmarks.scale [--trials 10000] [--servers 50]

It needs the results of `measuring` and `trials_ssh`, and of `reporting` for as many trials.
`python -m benchmarks --write-docs` puts it into docs/performance.md.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

from benchmarks.figures import RESULTS

WARMUP_S, WINDOW_S = 1.0, 10.0
TRIALS_A_BLOCK = 12
GIGABIT_KB_S = 125_000
SOFT_LIMIT = 1024  # of open files, where nobody raised it


@dataclass(frozen=True, slots=True)
class Measured:
    """What the calculation rests on; times in seconds, of one trial where nothing else is said."""

    overhead_s: float  # over SSH, from one trial's begin to the next one's, beside warm-up and window
    between_s: float  # from a block's last trial to the next one's first
    runner_cpu_s: float
    ansible_cpu_s: float
    packed_kb: float
    kept_kb: float
    runner_mb: float
    ansible_mb: float  # for one server
    descriptors: int
    threads: int
    report_s: float
    report_mb: float


def main() -> int:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=50)
    args = parser.parse_args()
    print(section(args.trials, args.servers))
    return 0


def section(trials: int = 10_000, servers: int = 50) -> str:
    """Return the calculation in words; a sentence that says what is missing where results are."""
    try:
        m = _measured()
    except (OSError, KeyError, IndexError, StopIteration) as err:
        return f"Not calculated: results of `measuring`, `trials_ssh` and `reporting` are not all there ({err}).\n"
    blocks = ceil(trials / TRIALS_A_BLOCK)
    rounds = ceil(blocks / servers)
    trial_s = WARMUP_S + WINDOW_S + m.overhead_s
    block_s = TRIALS_A_BLOCK * trial_s + m.between_s
    wall_s = rounds * block_s
    cpu_s = m.runner_cpu_s + m.ansible_cpu_s
    share_s = block_s / TRIALS_A_BLOCK  # of a server's time, that a trial takes
    a_core, one_runner = share_s / cpu_s, share_s / m.runner_cpu_s
    rate_kb_s = servers * m.packed_kb / share_s
    memory_gb = (m.runner_mb + servers * m.ansible_mb) / 1000
    on_a_gigabit, with_files = GIGABIT_KB_S * share_s / m.packed_kb, SOFT_LIMIT / m.descriptors
    limits = {
        f"a core of the control machine, at {a_core:,.0f} servers a core": a_core,
        f"the runner itself, one Python process, at {one_runner:,.0f} servers": one_runner,
        f"a network of a gigabit, at {on_a_gigabit:,.0f} servers": on_a_gigabit,
        f"a limit of {SOFT_LIMIT:,} open files, at {with_files:,.0f} servers": with_files,
    }
    first, *others = [name for name, _ in sorted(limits.items(), key=lambda kv: kv[1])]
    table = {
        "wall time": (f"{wall_s / 60:.0f} min", f"{rounds} rounds of blocks of {block_s:.0f} s"),
        "of it beside warm-ups and windows": (
            f"{(wall_s - rounds * TRIALS_A_BLOCK * (WARMUP_S + WINDOW_S)) / 60:.1f} min",
            f"{m.overhead_s:.2f} s a trial over SSH, {m.between_s:.1f} s between blocks",
        ),
        "its share measuring": (f"{100 * trials * WINDOW_S / servers / wall_s:.0f} %", ""),
        "CPU of the control machine": (
            f"{trials * cpu_s / 3600:.1f} core hours, {trials * cpu_s / wall_s:.1f} cores busy",
            f"{m.runner_cpu_s:.2f} s of the runner and {m.ansible_cpu_s:.2f} s of Ansible a trial",
        ),
        "memory of the control machine": (
            f"{memory_gb:.1f} GB",
            f"{m.runner_mb:.0f} MB for the runner, {m.ansible_mb:.0f} MB of Ansible a server",
        ),
        "disk of the control machine": (f"{trials * m.kept_kb / 1e6:.1f} GB", f"{m.kept_kb:,.0f} kB a trial"),
        "bandwidth to it": (
            f"{rate_kb_s * 8 / 1000:.1f} Mbit/s, {trials * m.packed_kb / 1e6:.1f} GB in all",
            f"{m.packed_kb:,.0f} kB a trial, packed",
        ),
        "the runner's open files, threads": (
            f"{m.descriptors * servers:,}, {m.threads * servers:,} at most",
            f"{m.descriptors}, {m.threads} with one server",
        ),
        "the report at the end": (f"{m.report_s:.0f} s, {m.report_mb:.0f} MB", "a run of 10,000 synthetic trials"),
    }
    what = (
        f"{trials:,} trials in blocks of {TRIALS_A_BLOCK} over {servers} servers, {WARMUP_S:g} s of warm-up and "
        f"{WINDOW_S:g} s of window each:"
    )
    lines = [
        what,
        "",
        "| what | calculated | from, measured |",
        "| --- | --- | --- |",
        *(f"| {name} | {value} | {source or '-'} |" for name, (value, source) in table.items()),
        "",
        f"What breaks first: {first}. Then: {'; '.join(others)}.",
    ]
    return "\n".join(lines) + "\n"


def _measured() -> Measured:
    its = _rows("measuring")[1]
    ssh = _rows("trials_ssh")[0]
    report = next(row for row in _rows("reporting") if "10,000" in row["what"])
    return Measured(
        overhead_s=_of(ssh, "from one trial's begin"),
        between_s=_of(its, "between two blocks"),
        runner_cpu_s=_of(its, "CPU time of the runner"),
        ansible_cpu_s=_of(its, "CPU time of Ansible"),
        packed_kb=_of(its, "brought home"),
        kept_kb=_of(its, "kept"),
        runner_mb=_of(its, "the runner's memory"),
        ansible_mb=_of(its, "Ansible's memory"),
        descriptors=round(_of(its, "the runner's open files")),
        threads=round(_of(its, "the runner's threads")),
        report_s=_of(report, "wall"),
        report_mb=_of(report, "memory"),
    )


def _rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    return rows


def _of(row: dict[str, Any], begins: str) -> float:
    """Return the median of the series whose name begins so. Raise `StopIteration` where there is none."""
    return float(median(next(s["values"] for s in row["ours"] if s["name"].startswith(begins))))


if __name__ == "__main__":
    sys.exit(main())
