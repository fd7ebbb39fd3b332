"""Whether time and memory a trial grow with the trials done, and what Ansible leaves on the disk.

    python -m benchmarks.growth [--trials 2000]

One run of trials whose script sleeps, with windows shorter than a file may ask for, so that what is not a
window makes most of the time. Watched from outside: the runner's memory, and from the trials' own files the
time from one trial's begin to the next one's, within blocks and from one block to the next. The last fifth stands
next to the first. One further block is run with ansible-runner's default of keeping every event as a file.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks import figures, sites
from benchmarks.children import watch
from benchmarks.figures import ROOT, Row, Series
from cgidlab.design import catalogue
from cgidlab.engine import ansible, execute, handing

SLEEPS_MS, CLIENTS = range(1, 21), range(8, 18)
CELLS = len(SLEEPS_MS) * len(CLIENTS)
GOAL_MB, GOAL_FILES = 20, 5000
WARMUP_S, WINDOW_S = 0.04, 0.08
GROWTH = 1.1  # what counts as flat: within a tenth
EXPERIMENT = """\
schema_version: 1
name: growth
question: Does a trial cost more after many?
factors:
  sleep_ms: [{sleeps_ms}]
  clients: [{clients}]
settings: {{workers: 100, threads_per_child: 100, script: sleep}}
load: {{loop: closed, driver: h2load}}
warmup_s: {warmup_s}
window_s: {window_s}
repetitions: {blocks}
noise: ignore
limits: off
"""


# runner.py with windows as short as these. It does not end after trials that fail alike: an invalid one takes as long.
SHORT = ("cgidlab.design.catalogue._BOUNDS", {"warmup_s": (0.01, 60), "window_s": (0.01, 60)})
RUNNER = f"""\
import sys
from unittest.mock import patch
from cgidlab import failures
failures.SAME_IN_A_ROW = 10**9
from cgidlab import cli
with patch.dict(*{SHORT!r}):
    sys.exit(cli.main(sys.argv[1:]))
"""


def main() -> int:
    """Run the trials, print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000, help=f"whole blocks of {CELLS}")
    blocks = max(2, parser.parse_args().trials // CELLS)
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        path = work / "growth.yml"
        sleeps_ms, clients = (", ".join(map(str, levels)) for levels in (SLEEPS_MS, CLIENTS))
        path.write_text(
            EXPERIMENT.format(sleeps_ms=sleeps_ms, clients=clients, warmup_s=WARMUP_S, window_s=WINDOW_S, blocks=blocks)
        )
        words = [sys.executable, "-c", RUNNER, "run", str(path), "--results", str(work / "results"), "--uncalibrated"]
        # 4: some trials as short as these may be invalid
        memory_mb = watch(words, frozenset({0, 4})).own_mb
        run = (work / "results" / "growth" / "latest").resolve()
        rows = [_growth(run, memory_mb), _artefacts(run, path, work, blocks)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("growth", rows)
    return 0


def _growth(run: Path, memory_mb: list[float]) -> Row:
    spacing_s: list[float] = []
    blocks: dict[str, list[int]] = {}
    trials = sorted(run.glob("trials/*"))
    for trial in trials:
        path = trial / "result.json"
        if path.exists():
            begin_ns = min(p["begin_ns"] for p in json.loads(path.read_text())["phases"])
            blocks.setdefault(trial.name.rpartition("-")[2], []).append(begin_ns)
    in_order = sorted(sorted(begins_ns) for begins_ns in blocks.values())
    for begins_ns in in_order:
        spacing_s += [(b - a) / 1e9 for a, b in pairwise(begins_ns)]
    between_s = [(after[0] - before[-1]) / 1e9 for before, after in pairwise(in_order)]
    few = max(1, len(between_s) // 5)
    fifth, memory_fifth = len(spacing_s) // 5, max(1, len(memory_mb) // 5)
    first_s, last_s = spacing_s[:fifth], spacing_s[-fifth:]
    # The first values still rise with what the first block's own modules load.
    early_mb, late_mb = memory_mb[memory_fifth : 2 * memory_fifth], memory_mb[-memory_fifth:]
    return Row(
        f"growth with trials done: {len(trials):,} short trials whose script sleeps",
        "flat",
        all(
            median(late) <= GROWTH * median(early)
            for early, late in ((first_s, last_s), (between_s[:few], between_s[-few:]), (early_mb, late_mb))
        ),
        (
            Series("time a trial, last fifth", "s", last_s),
            Series("from a block's last trial to the next one's first, last fifth", "s", between_s[-few:]),
            Series("the runner's memory, last fifth", "MB", late_mb),
        ),
        (
            Series("time a trial, first fifth", "s", first_s),
            Series("from a block's last trial to the next one's first, first fifth", "s", between_s[:few]),
            Series("the runner's memory, second fifth", "MB", early_mb),
        ),
        f"Flat means within {GROWTH - 1:.0%}. A trial's warm-up and window are {WARMUP_S + WINDOW_S:g} s of its time.",
    )


def _artefacts(run: Path, path: Path, work: Path, blocks: int) -> Row:
    per_thousand = 1000 / (CELLS * blocks)
    files, size_mb = _kept(run / "ansible", per_thousand)
    default_files, default_mb = _kept_by_default(path, work)
    return Row(
        "Ansible's artefacts kept a 1,000 trials",
        f"<= {GOAL_MB} MB, <= {GOAL_FILES:,} files",
        size_mb <= GOAL_MB and files <= GOAL_FILES,
        (Series("on the disk", "MB", [size_mb]), Series("files", "", [files])),
        (
            Series("ansible-runner's default, on the disk", "MB", [default_mb]),
            Series("ansible-runner's default, files", "", [default_files]),
        ),
        f"In blocks of {CELLS} trials.",
    )


def _kept(directory: Path, factor: float) -> tuple[float, float]:
    paths = [p for p in directory.rglob("*") if p.is_file()]
    return len(paths) * factor, sum(p.stat().st_blocks * 512 for p in paths) / 1e6 * factor


def _kept_by_default(path: Path, work: Path) -> tuple[float, float]:
    """Run one block as ansible-runner would by default; return files and MB a 1,000 trials."""
    with patch.dict(*SHORT):
        design = sites.planned(path.read_text())
    host = sites.provisioned(design, work)
    known = catalogue.load(sites.LOCAL.roles)
    block = execute.BlockNeeds(work / "default", host, f"{host.work_dir}/bench-default")
    # The same block, with nothing thrown away.
    with patch.object(ansible, "play", _keeping_all), handing.BlockCalls(sites.LOCAL) as calls:
        calls.run(block, design.blocks[0], known, lambda _arrival: None, lambda: False)
    return _kept(work / "default" / "artifacts", 1000 / CELLS)


def _keeping_all(
    playbook: Path, inventory: Path, variables: Mapping[str, Any], directory: Path, **_rest: object
) -> None:
    import ansible_runner  # type: ignore[import-untyped]  # noqa: PLC0415 -- only here

    (directory / "vars.json").write_text(json.dumps(variables))
    ran = ansible_runner.run(
        private_data_dir=str(directory),
        project_dir=str(ROOT),
        playbook=str(playbook),
        inventory=str(inventory),
        cmdline=f"--extra-vars @{directory / 'vars.json'}",
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        quiet=True,
    )
    if ran.rc != 0:
        raise SystemExit("the block that keeps everything failed")


if __name__ == "__main__":
    sys.exit(main())
