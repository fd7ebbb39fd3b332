"""What a trial costs beside its warm-up and window, against a bare shell loop doing the same start, load and kill.

    make bench            or: python benchmarks/overhead.py [--rounds 5] [--trials 4]

Both run in turns in one go: a block of trials through cgidlab (namespaces,
read-back, all default instruments, harvest), then as many turns of the shell
loop with the same httpd, configuration and load. Medians, spread and the ratio
are printed and written to benchmarks/results/overhead.json.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgidlab import ansible, execute, harvest, plan, store  # noqa: E402 -- the path has to be set first
from cgidlab import catalogue as cat  # noqa: E402 -- see above
from cgidlab import spec as specs  # noqa: E402 -- see above
from cgidlab.parsers import strict_yaml  # noqa: E402 -- see above
from cgidlab.parsers.host_report import HostReport  # noqa: E402 -- see above

WARMUP_S = 0.5
WINDOW_S = 1.0
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
"""
# The same steps as a trial's: own namespaces, httpd, first answer, load, then the end of the
# namespace's first process, with which the kernel kills all the others.
BARE = """\
set -e
ip link set lo up
"{httpd}" -f "{conf}" -DFOREGROUND &
until {{ exec 3<>/dev/tcp/127.0.0.1/8080; }} 2>/dev/null; do sleep 0.01; done
printf 'GET /cgi-bin/hello HTTP/1.0\\r\\n\\r\\n' >&3
grep -q '^HTTP/1.1 200' <&3
h2load --h1 -t 1 -c 50 -D {window_ms}ms --warm-up-time={warmup_ms}ms \\
  http://127.0.0.1:8080/cgi-bin/hello >"{dir}/load.txt"
"""


def main() -> int:
    """Measure both, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=4)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        figures = _measure(args.rounds, args.trials, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _print(figures)
    out = ROOT / "benchmarks" / "results" / "overhead.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"written to {out.relative_to(ROOT)}")
    return 0


def _measure(rounds: int, trials: int, work: Path) -> dict[str, Any]:
    site = execute.Site(ROOT, ROOT / "inventories" / "local.yml")
    catalogue = cat.load(site.roles)
    levels = ", ".join(str(100 + i) for i in range(trials))
    text = EXPERIMENT.format(levels=levels, warmup=WARMUP_S, window=WINDOW_S, rounds=rounds)
    design = plan.make(specs.build(strict_yaml.parse(text.encode(), "overhead"), catalogue), catalogue)
    host = execute.provision(site, design, work / "hosts", work / "provision", ansible.Watch())[0]
    trial_s: list[float] = []
    wall_s: list[float] = []
    bare_s: list[float] = []
    phases: dict[str, list[float]] = {}
    for number, block in enumerate(design.blocks):
        run = execute.BlockRun(work / f"b{number}", host, f"{host.work_dir}/bench-{number}")
        arrivals: list[execute.Arrival] = []
        began = time.monotonic()
        played = execute.run_block(site, run, block, catalogue, arrivals.append, lambda: False)
        if not played.ok or len(arrivals) != len(block):
            raise SystemExit(f"a block failed: {played.failures}")
        wall_s.append((time.monotonic() - began) / len(block) - WARMUP_S - WINDOW_S)
        kept = [_result(a, work, store.trial_json(block[i], host.host)) for i, a in enumerate(arrivals)]
        for directory in kept:
            spans = _phases(directory)
            trial_s.append(sum(v for k, v in spans.items() if k not in {"warmup", "window"}))
            for name, span_s in spans.items():
                phases.setdefault(name, []).append(span_s)
        bare_s += [_bare(host, kept[0], work) for _ in block]
    return {
        "schema_version": 1,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "rounds": rounds,
        "trials_a_round": trials,
        "trial_overhead_s": trial_s,
        "block_wall_overhead_s_per_trial": wall_s,
        "bare_overhead_s": bare_s,
        "phases_median_s": {name: median(spans) for name, spans in phases.items()},
    }


def _result(arrival: execute.Arrival, work: Path, trial: dict[str, Any]) -> Path:
    if arrival.archive is None:
        raise SystemExit(arrival.reason)
    directory = work / "kept" / f"{arrival.number}"
    directory.parent.mkdir(exist_ok=True)
    harvest.unpack(arrival.archive, directory, trial)
    return directory


def _phases(directory: Path) -> dict[str, float]:
    result = json.loads((directory / "result.json").read_text())
    if result["ended"] != "complete":
        raise SystemExit(f"a trial is {result['ended']}: {result['reason']}")
    return {p["name"]: (p["end_ns"] - p["begin_ns"]) / 1e9 for p in result["phases"]}


def _bare(host: HostReport, kept: Path, work: Path) -> float:
    """Run one turn of the shell loop with a kept trial's configuration; return its time beside the load's."""
    directory = Path(tempfile.mkdtemp(prefix="bare-", dir=work))
    directory.chmod(0o755)
    (directory / "logs").mkdir()
    conf = (kept / "httpd.conf").read_text()
    for name in ("ServerRoot", "DefaultRuntimeDir"):
        old = re.search(rf'^{name} "(.+)"$', conf, re.MULTILINE)
        if old is None:
            raise SystemExit(f"no {name} in httpd.conf")
        conf = conf.replace(old.group(1), str(directory))
    (directory / "httpd.conf").write_text(conf)
    script = BARE.format(
        httpd=next(iter(host.httpd.values())).binary,
        conf=directory / "httpd.conf",
        dir=directory,
        window_ms=round(WINDOW_S * 1000),
        warmup_ms=round(WARMUP_S * 1000),
    )
    began = time.monotonic()
    namespaces = ["/usr/bin/unshare", "-n", "-p", "-m", "-f", "--mount-proc", "--kill-child"]
    ran = subprocess.run([*namespaces, "/bin/bash", "-c", script], check=False, capture_output=True, text=True)
    took_s = time.monotonic() - began - WARMUP_S - WINDOW_S
    if ran.returncode != 0 or "succeeded" not in (directory / "load.txt").read_text():
        raise SystemExit(f"the shell loop failed: {ran.stderr}")
    return took_s


def _print(figures: dict[str, Any]) -> None:
    rows = {
        "a trial (its own phases)": figures["trial_overhead_s"],
        "a trial's share of its block's wall time": figures["block_wall_overhead_s_per_trial"],
        "a bare shell loop": figures["bare_overhead_s"],
    }
    print(f"{'time beside warm-up and window':42s} {'n':>3s} {'median':>8s} {'p5':>8s} {'p95':>8s}")
    for name, values in rows.items():
        cuts = quantiles(values, n=20, method="inclusive")
        print(f"{name:42s} {len(values):3d} {median(values):7.3f}s {cuts[0]:7.3f}s {cuts[-1]:7.3f}s")
    ratio = median(figures["trial_overhead_s"]) / median(figures["bare_overhead_s"])
    print(f"ratio of the medians, trial to bare loop: {ratio:.1f}")
    print("phases (median): " + ", ".join(f"{n} {v:.3f}s" for n, v in figures["phases_median_s"].items()))


if __name__ == "__main__":
    sys.exit(main())
