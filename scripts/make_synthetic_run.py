"""Make a synthetic run: a run directory in the documented format that no host ever produced.

    python scripts/make_synthetic_run.py --trials 216 --seed 1 --results /tmp/synthetic

For tests and benchmarks of everything that starts from a run directory. A
simple model of a queue gives figures of a plausible size; they say nothing
about httpd, and the experiment, its question and the provenance say so. The
same arguments give the same bytes.
"""

import argparse
import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script runs without installing the package

from cgidlab import files, report
from cgidlab.analysis import analyse
from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.model import FailureKind, Figures, Outcome, Plan, Status, Trial, TrialRecord
from cgidlab.runs import store
from cgidlab.verdict import Limit

ROOT = Path(__file__).resolve().parent.parent
EPOCH_S = 1_750_000_000  # when every synthetic run began
CAPACITY_RPS = 1100.0  # of the model's daemon
BUSY_CLIENTS = 4  # neither queued nor asleep
SAMPLES_PER_S = 100

EXPERIMENT = """\
schema_version: 1
name: synthetic
question: SYNTHETIC, made by scripts/make_synthetic_run.py. Can a report of {trials} trials be made and read?

factors:
  listen_backlog: [1, 5, 100, {{label: "100 again", value: 100}}, 1024]
  clients: [50, 200, 400]

settings: {{workers: 400, threads_per_child: 25}}
load: {{loop: closed, driver: h2load}}
warmup_s: 0.5
window_s: {window_s}
repetitions: {blocks}
seed: {seed}

verdict:
  factor: listen_backlog
  reference: 100
  smallest_effects: {{throughput_rps: 5%, latency_p99_ms: 20%}}
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """What the model makes of one trial. Times count from the window's begin, in seconds."""

    begin_s: float  # since the run began
    start_s: Floats  # of each request
    latency_us: Floats
    sample_s: Floats
    depth: Floats
    asleep: Floats
    limit: int
    clients: int
    instruments: bool  # whether queue and workers were observed in this trial


@dataclass(frozen=True)
class SyntheticTrial:
    """One trial with its outcome; nothing was observed of one that failed."""

    trial: Trial
    outcome: Outcome
    observed: Observed | None
    window_s: float


@dataclass(frozen=True)
class SyntheticRun:
    """A whole run in memory."""

    plan: Plan
    trials: tuple[SyntheticTrial, ...]


def synthesise(trials: int, seed: int = 1, window_s: float = 2.0) -> SyntheticRun:
    """Return a run of so many trials: every 37th is invalid, every 53rd failed, every 29th lacks instruments."""
    cells = 15
    text = EXPERIMENT.format(trials=trials, window_s=window_s, blocks=math.ceil(trials / cells), seed=seed)
    roles = catalogue.load(ROOT / "roles")
    whole = plan.make(spec.build(strict_yaml.parse(text.encode(), "synthetic.yml"), roles), roles)
    kept = dataclasses.replace(whole, trials=whole.trials[:trials])
    block_noise = np.random.default_rng([seed, 0]).normal(0, 0.05, trials // cells + 2)
    return SyntheticRun(
        kept, tuple(_synthetic(t, seed, window_s, 1 + float(block_noise[t.block])) for t in kept.trials)
    )


def _synthetic(trial: Trial, seed: int, window_s: float, speed: float) -> SyntheticTrial:
    if trial.number % 53 == 7:  # noqa: PLR2004 -- any numbers would do
        failed = Outcome(trial.key, Status.FAILED, "httpd did not start: synthetic", FailureKind.SUT)
        return SyntheticTrial(trial, failed, None, window_s)
    outcome = Outcome(trial.key, Status.COMPLETE, "", None)
    if trial.number % 37 == 5:  # noqa: PLR2004 -- as above
        outcome = Outcome(trial.key, Status.INVALID, "the driver used 97 % of a core: synthetic", FailureKind.CLIENT)
    rng = np.random.default_rng([seed, trial.number])
    backlog, clients = int(trial.cell.settings["listen_backlog"]), int(trial.cell.settings["clients"])
    waiting = max(0, clients - BUSY_CLIENTS)
    held, sleepers = min(waiting, backlog + 1), max(0, waiting - backlog - 1)
    cost = {1: 0.92, 5: 0.97}.get(backlog, 1.0)
    rate = CAPACITY_RPS * cost * speed * float(rng.normal(1, 0.015))
    n = round(rate * window_s)
    mean_us = 1e6 * clients / rate
    sigma = 0.15 + 0.75 * sleepers / clients  # who sleeps in connect is not woken in the order of arrival
    samples = np.arange(0, window_s, 1 / SAMPLES_PER_S)
    dips = rng.binomial(max(2, held // 8), 0.3, len(samples)) if held else np.zeros(len(samples))
    return SyntheticTrial(
        trial,
        outcome,
        Observed(
            begin_s=trial.number * (window_s + 1.1),
            start_s=np.sort(rng.uniform(0, window_s, n)),
            latency_us=np.maximum(200, rng.lognormal(math.log(mean_us) - sigma**2 / 2, sigma, n)),
            sample_s=samples,
            depth=np.maximum(0, held - dips * (sleepers == 0)),
            asleep=np.maximum(0, np.round(sleepers + rng.normal(0, 2, len(samples)) * (sleepers > 0))),
            limit=backlog,
            clients=clients,
            instruments=trial.number % 29 != 3,  # noqa: PLR2004 -- as above
        ),
        window_s,
    )


def record(made: SyntheticTrial) -> TrialRecord:
    """Return the trial as the store would give it back. Figures nobody observed are None."""
    t, seen = made.trial, made.observed
    return TrialRecord(
        number=t.number,
        block=t.block,
        key=t.key,
        directory=f"trials/{t.directory}",
        host="synthetic",
        levels=tuple((name, level.label) for name, level in t.cell.levels),
        settings=t.cell.settings,
        outcome=made.outcome,
        figures=Figures() if seen is None else _figures(seen, made.window_s),
        overhead_s=None if seen is None else 0.42 + 0.01 * (t.number % 7),
        started_s=None if seen is None else EPOCH_S + seen.begin_s,
    )


def _figures(seen: Observed, window_s: float) -> Figures:
    ms = seen.latency_us / 1000
    p50, p90, p99, p999 = (float(v) for v in np.percentile(ms, [50, 90, 99, 99.9]))
    known = Figures(
        requests=len(ms),
        errors=0,
        throughput_rps=len(ms) / window_s,
        latency_mean_ms=float(ms.mean()),
        latency_p50_ms=p50,
        latency_p90_ms=p90,
        latency_p99_ms=p99,
        latency_p999_ms=p999,
        latency_max_ms=float(ms.max()),
        cgid_cpu_share=0.97,
        host_cpu_share=0.88,
        driver_cpu_share=0.07,
    )
    if not seen.instruments:
        return known
    return dataclasses.replace(
        known,
        queue_limit=seen.limit,
        queue_depth_max=int(seen.depth.max()),
        queue_depth_mean=float(seen.depth.mean()),
        queue_full_share=float((seen.depth > seen.limit).mean()),
        workers_in_connect_max=int(seen.asleep.max()),
        workers_in_connect_mean=float(seen.asleep.mean()),
        workers_in_read_mean=float(_worker_states(seen)["read"].mean()),
        retries_in_window=0,
        gave_up_503=0,
    )


def detail(made: SyntheticTrial) -> report.TrialDetail | None:
    """Return the trial's series, None when it failed."""
    seen = made.observed
    if seen is None:
        return None
    if not seen.instruments:
        return report.TrialDetail()
    return report.TrialDetail(
        queue_depth=report.Series(seen.sample_s.tolist(), seen.depth.tolist()),
        queue_limit=seen.limit,
        workers_in_connect=report.Series(seen.sample_s.tolist(), seen.asleep.tolist()),
        worker_states={k: float(np.mean(v)) for k, v in _worker_states(seen).items()},
    )


def _worker_states(seen: Observed) -> dict[str, Floats]:
    queued = np.minimum(seen.depth, seen.clients)
    idle = np.maximum(0, 400 - seen.asleep - queued - 2)
    ones = np.ones_like(queued)
    return {"connect": seen.asleep, "read": queued, "idle": idle, "running": ones, "other": ones}


def report_input(run: SyntheticRun) -> report.ReportInput:
    """Return what a report of this run is made from, without a detour over files."""
    by_number = {made.trial.number: made for made in run.trials}
    records = tuple(record(made) for made in run.trials)
    experiment = run.plan.experiment
    found = analyse.analyse(records, experiment)

    def requests(trial: TrialRecord) -> report.Answered | None:
        made = by_number[trial.number]
        if (seen := made.observed) is None:
            return None
        return report.Answered(seen.start_s, seen.latency_us / 1000, made.window_s, exact=True)

    return report.ReportInput(
        experiment=experiment.name,
        question=experiment.question,
        run_id="20250615T150640Z-synthetic",
        state="finished",
        overflow="observed",
        verdict=(
            "SYNTHETIC: the queue of 100 was full (101 of 100) and 295 workers slept in connect(); no connect was"
            " refused; throughput did not change with the backlog."
        ),
        verdict_lines=(
            "Yes, at 400 clients the queue of 100 held 101; that is 100 % of the window.",
            "No: AH01256 was not logged once in a window.",
            "Backlog 1 costs at least 5 % of throughput; 5 is inconclusive.",
            "The cgid daemon's one thread used 97 % of a core.",
            "Leave the backlog at 100; it rests on the throughput at 1024, +0.3 %.",
        ),
        factors=experiment.factors,
        factor=experiment.rule.factor,
        reference=experiment.rule.reference,
        seed=experiment.seed,
        smallest_effects=experiment.rule.smallest_effects,
        trials=records,
        effects=found.effects,
        noise_floor=found.noise_floor,
        drift="Throughput of the reference level moved less than the smallest effect that matters.",
        windows="No throughput by the second is known.",
        stopping=f"{experiment.repetitions.min} blocks were planned, with one look at the end.",
        limits=(Limit("cgid daemon", True, False, 6, 9, 1.1, "SYNTHETIC: 0.97 of a core"),),  # noqa: FBT003 -- in the order of its fields
        timing={"wall_s": 1234.5, "measured_s": 432.0, "overhead_s_per_trial": 0.45},
        provenance=PROVENANCE,
        detail=lambda trial: detail(by_number[trial.number]),
        requests=requests,
    )


PROVENANCE: Mapping[str, Any] = {
    "synthetic": True,
    "made_by": "scripts/make_synthetic_run.py",
    "hosts": {
        "synthetic": {
            "facts": {"kernel": "synthetic", "cpus": 2, "clock_source": None},
            "httpd": {"synthetic": {"version": "synthetic"}},
        }
    },
}


def write(run: SyntheticRun, results: Path) -> Path:
    """Write the run below `results` and return its directory. Raises `StoreError` when it is there already."""
    directory = store.create(results, run.plan, "20250615T150640Z-synthetic")
    for made in run.trials:
        path = directory.trials / made.trial.directory
        for name in ("logs", "load", "instruments"):
            (path / name).mkdir(parents=True)
        (path / "trial.json").write_text(json.dumps(store.trial_json(made.trial, "synthetic")))
        from_host = dict(_texts(made))
        for name, text in from_host.items():
            (path / name).write_text(text)
        sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in from_host.items())
        (path / "SHA256SUMS").write_text("".join(sums))
        if made.observed is not None:
            _requests(made.observed).write_csv(path / "load" / "rows.log", include_header=False, separator="\t")
        store.write_outcome(path, made.outcome)
    directory.write("provenance.json", PROVENANCE)
    directory.set_state(store.FINISHED)
    return directory.path


def _requests(seen: Observed) -> pl.DataFrame:
    start = ((EPOCH_S + seen.begin_s + seen.start_s) * 1e6).astype(np.int64)
    return pl.DataFrame(
        {
            "start_us": start,
            "status": np.full(len(start), 200, np.int16),
            "latency_us": seen.latency_us.astype(np.int64),
        }
    )


def _texts(made: SyntheticTrial) -> Iterator[tuple[str, str]]:
    yield "httpd.conf", "# synthetic: no server read this\n"
    yield "logs/error_log", ""
    yield "logs/access_log", ""
    seen = made.observed
    begin_ns = round((seen.begin_s if seen else 0) * 1e9) + 10**12
    result: dict[str, Any] = {
        "schema_version": 1,
        "key": made.trial.key,
        "ended": made.outcome.status,
        "reason": made.outcome.reason,
        "kind": made.outcome.kind,
        "clock": {"realtime_ns": EPOCH_S * 10**9, "monotonic_ns": 10**12},
        "phases": [],
        "load": {"driver": "h2load", "argv": ["synthetic"], "exit_code": 0, "timed_out": False},
        "instruments": {},
    }
    if seen is not None:
        ran = {"state": "ran", "reason": "", "cpu_ns": 10**7}
        absent = {"state": "unavailable", "reason": "synthetic", "cpu_ns": 0}
        end_ns = begin_ns + round(made.window_s * 1e9)
        result |= {
            "window": {"begin_ns": begin_ns, "end_ns": end_ns},
            "server": {"httpd_pid": 2, "cgid_pid": 3, "cgid_pid_at_end": 3, "worker_pids": [4], "version": "synthetic"},
            "phases": [
                {"name": "start", "begin_ns": begin_ns - 8 * 10**8, "end_ns": begin_ns - 5 * 10**8},
                {"name": "warmup", "begin_ns": begin_ns - 5 * 10**8, "end_ns": begin_ns},
                {"name": "window", "begin_ns": begin_ns, "end_ns": end_ns},
            ],
            "instruments": dict.fromkeys(("listen_queue", "worker_states"), ran if seen.instruments else absent),
        }
        rows = _requests(seen).iter_rows()
        yield "load/rows.log", "".join(f"{start}\t{status}\t{us}\n" for start, status, us in rows)
        if seen.instruments:
            ns = (begin_ns + seen.sample_s * 1e9).astype(np.int64).tolist()
            depth = zip(ns, seen.depth.astype(int).tolist(), strict=True)
            yield (
                "instruments/listen_queue.csv",
                "monotonic_ns,cgid_depth,cgid_limit,tcp_depth,tcp_limit\n"
                + "".join(f"{t},{d},{seen.limit},0,511\n" for t, d in depth),
            )
            states = _worker_states(seen)
            columns = zip(ns, *(v.astype(int).tolist() for v in states.values()), strict=True)
            yield (
                "instruments/worker_states.csv",
                f"monotonic_ns,threads,{','.join(states)}\n"
                + "".join(f"{t},{sum(v)},{','.join(map(str, v))}\n" for t, *v in columns),
            )
    yield "result.json", json.dumps(result)
    checks = [{"name": "queue_limit", "want": str(made.trial.cell.settings["listen_backlog"]), "ok": True}]
    yield "readback.json", json.dumps({"schema_version": 1, "ok": True, "checks": checks})


def main() -> None:
    """Write a synthetic run, and its report when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=216)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window-s", type=float, default=2.0)
    parser.add_argument("--results", type=Path, required=True, help="the run goes to RESULTS/synthetic/<run-id>")
    parser.add_argument("--report", action="store_true", help="write report.html from memory as well")
    arguments = parser.parse_args()
    run = synthesise(arguments.trials, arguments.seed, arguments.window_s)
    files.make_directory(arguments.results)
    path = write(run, arguments.results)
    if arguments.report:
        report.write(report_input(run), path)
    print(path)


if __name__ == "__main__":
    main()
