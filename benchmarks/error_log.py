"""How fast error_log is read, beside `grep -c AH01256` and `rg -c AH01256` on the same file, in one run.

    python -m benchmarks.error_log [--size-mb 1000] [--rounds 5] [--directory DIR]

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

from benchmarks import figures
from benchmarks.figures import ROOT, Row, Series

LOCALE = {"LC_ALL": "C"}
GOAL_MB = 100
RETRY_SHARE = 50  # one line in 50
BLOCK = 60_000  # lines; repeated until the file is large enough
_CHILD = """
import json, os, re, resource, sys, time
from pathlib import Path
from cgidlab.parsers.error_log import parse_error_log
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
def cpu_s():
    return sum(os.times()[:4])  # of the process that sorts the log too
before = peak_mb()
begin, cpu = time.perf_counter(), cpu_s()
log = parse_error_log(Path(sys.argv[1]))
wall, cpu = time.perf_counter() - begin, cpu_s() - cpu
beside = max(0, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 - before)
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "lines": log.lines, "retries": log.inside.total,
    "own_mb": peak_mb() - before + beside, "peak_mb": peak_mb()}))
"""


def main() -> int:
    """Make the log, let both read it in turns, print what they took."""
    args = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        path = Path(directory) / "error_log"
        lines, retries = make_log(path, args.size_mb * 1_000_000)
        programs = [name for name in ("grep", "rg") if shutil.which(name)]
        count("grep", path)  # into the page cache
        ours: list[dict[str, float]] = []
        peers: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for _ in range(args.rounds):
            ours.append(scan(path))
            for name in programs:
                peers[name].append(count(name, path))
    wrong = [r for r in ours if (r["lines"], r["retries"]) != (lines, retries)]
    if wrong or any(p["retries"] != retries for rows in peers.values() for p in rows):
        print(f"the counts differ: {lines} lines, {retries} retries were written", file=sys.stderr)
        return 1
    ours_s, grep_s = [r["wall_s"] for r in ours], [r["wall_s"] for r in peers["grep"]]
    own_mb = max(r["own_mb"] for r in ours)
    figures.write(
        "error_log",
        [
            Row(
                f"error_log scan, {args.size_mb / 1000:g} GB with 2 % retry lines, from the page cache",
                f"no slower than `grep -c`, <= {GOAL_MB} MB of its own memory",
                statistics.median(ours_s) <= statistics.median(grep_s) and own_mb <= GOAL_MB,
                (
                    Series("wall", "s", ours_s),
                    Series("CPU", "s", [r["cpu_s"] for r in ours]),
                    Series("its own memory", "MB", [own_mb]),
                ),
                tuple(
                    Series(f"`{name} -c AH01256`, {what}", "s", [r[key] for r in rows])
                    for name, rows in peers.items()
                    for what, key in (("wall", "wall_s"), ("CPU", "cpu_s"))
                ),
                "Ours reads every line of every message, the others count lines with one word.",
            )
        ],
    )
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


def count(name: str, path: Path) -> dict[str, float]:
    """Count with grep or rg and return what it took."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [shutil.which(name) or name, "-c", "AH01256", str(path)]
    done = subprocess.run(words, check=True, capture_output=True, env=LOCALE)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "retries": int(done.stdout)}


if __name__ == "__main__":
    sys.exit(main())
