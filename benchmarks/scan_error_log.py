#!/usr/bin/env python3
"""How fast error_log is read, beside `grep -c AH01256` on the same file, in one run.

    python benchmarks/scan_error_log.py [--size-mb 1000] [--rounds 5] [--directory DIR]

The log is made from lines of a kind httpd writes at `LogLevel debug`, 2 % of
them retries. Both read it from the page cache, in turns; printed are the
medians of wall and CPU time, their ratio, and the parser's own memory beyond what
Python and numpy need to start.
"""

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCALE = {"LC_ALL": "C"}
RETRY_SHARE = 50  # one line in 50
BLOCK = 60_000  # lines; repeated until the file is large enough
_CHILD = """
import json, re, sys, time
from pathlib import Path
from cgidlab.parsers.error_log import parse_error_log
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak_mb()
begin, cpu = time.perf_counter(), time.process_time()
log = parse_error_log(Path(sys.argv[1]))
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "lines": log.lines, "retries": log.inside.total,
    "own_mb": peak_mb() - before, "peak_mb": peak_mb()}))
"""


def main() -> int:
    """Make the log, let both read it in turns, print what they took."""
    args = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        path = Path(directory) / "error_log"
        lines, retries = make_log(path, args.size_mb * 1_000_000)
        grep(path)  # into the page cache
        ours, peers = [], []
        for _ in range(args.rounds):
            ours.append(scan(path))
            peers.append(grep(path))
    wrong = [r for r in ours if (r["lines"], r["retries"]) != (lines, retries)]
    if wrong or any(p["retries"] != retries for p in peers):
        print(f"the counts differ: {lines} lines, {retries} retries were written", file=sys.stderr)
        return 1
    for name, rows in (("parse_error_log", ours), ("grep -c AH01256", peers)):
        wall, cpu = median(rows, "wall_s"), median(rows, "cpu_s")
        print(f"{name:<16} {wall:.3f} s wall, {cpu:.3f} s CPU, {args.size_mb / 1000 / cpu:.2f} GB per CPU second")
    print(f"ratio            {median(ours, 'wall_s') / median(peers, 'wall_s'):.2f} wall, ", end="")
    print(f"{median(ours, 'cpu_s') / median(peers, 'cpu_s'):.2f} CPU (below 1: faster than grep)")
    print(f"memory           {max(r['own_mb'] for r in ours):.1f} MB of its own, ", end="")
    print(f"{max(r['peak_mb'] for r in ours):.1f} MB with Python and numpy")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the log is made (default: the temporary directory)")
    return parser


def make_log(path: Path, size: int) -> tuple[int, int]:
    """Write a log of at least `size` bytes; return its lines and the retries among them."""
    rng = random.Random(1)  # noqa: S311 -- the same log each time, no secret
    block = "".join(_line(i, rng) for i in range(BLOCK)).encode()
    times = -(-size // len(block))
    with path.open("wb") as file:
        for _ in range(times):
            file.write(block)
    return BLOCK * times, BLOCK // RETRY_SHARE * times


def _line(i: int, rng: random.Random) -> str:
    when = f"Mon Nov 23 15:04:{i // 1000:02d}.{rng.randrange(10**6):06d} 2026"
    thread = f"[pid {rng.randrange(100, 9999)}:tid {rng.randrange(10**15)}]"
    client = f"[client 127.0.0.1:{rng.randrange(1024, 65536)}]"
    if i % RETRY_SHARE:
        words = f"mod_authz_core.c(843): {client} AH01628: authorization result: granted (no directives)"
        return f"[{when}] [authz_core:debug] {thread} {words}\n"
    words = f"(111)Connection refused: {client} AH01256: connect #{rng.randrange(1, 15)} to cgi daemon failed"
    return f"[{when}] [cgid:debug] {thread} mod_cgid.c(1321): {words}, sleeping before retry\n"


def scan(path: Path) -> dict[str, float]:
    """Read the log in a process of its own and return what it took."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def grep(path: Path) -> dict[str, float]:
    """Count with grep and return what it took."""
    program = shutil.which("grep") or "grep"
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([program, "-c", "AH01256", str(path)], check=True, capture_output=True, env=LOCALE)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "retries": int(done.stdout)}


def median(rows: list[dict[str, float]], name: str) -> float:
    """Return the median of a figure."""
    return statistics.median(r[name] for r in rows)


if __name__ == "__main__":
    sys.exit(main())
