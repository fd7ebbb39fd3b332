"""What `observe --all` costs on a host with 1,000 listening unix sockets and 8,000 others, and how often it looks.

    python -m benchmarks.listeners [--rounds 5] [--seconds 10] [--listeners 1000] [--others 8000] [--cost 0.01]
                                  [--write-docs]

The helper that watches is the one of an observation, without Ansible. Its cost is what it measures of itself: the CPU
time of its whole process in the window, and what it took once before and after. As root connects are counted too.
`--write-docs` puts the row into docs/observe.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.figures import ROOT, Row, Series
from scripts.write_docs import filled

HELPERS = ROOT / "roles" / "trial" / "files"
DOCS = ROOT / "docs" / "observe.md"
_LATE_S = 120.0
# Holds sockets until its standard input ends.
HOLDER = """
import resource, socket, sys
directory, listeners, others = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
need = listeners + others + 100
resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(need, hard)))
held = [socket.socketpair() for _ in range(others // 2)]
for number in range(listeners):
    one = socket.socket(socket.AF_UNIX)
    one.bind(f"{directory}/{number}.sock")
    one.listen(5)
    held.append(one)
print("ready", flush=True)
sys.stdin.read()
"""


def main() -> int:
    """Watch, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--others", type=int, default=8000)
    parser.add_argument("--cost", type=float, default=0.01)
    parser.add_argument("--write-docs", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory, _sockets(directory, args):
        seen = [_watched(Path(directory) / f"watch{n}", args) for n in range(args.rounds)]
    if min(len(s["every"]) for s in seen) < args.listeners:
        raise SystemExit("not every listener was seen")
    kept = figures.write("listeners", [_row(seen, args)])
    text = figures.table([json.loads(kept.read_text())])
    print(text)
    if args.write_docs:
        DOCS.write_text(filled(DOCS.read_text(), "listeners", text.rstrip("\n"), DOCS.name))
    return 0


def _row(seen: list[dict[str, Any]], args: argparse.Namespace) -> Row:
    shares = [100 * s["cost"]["cpu_share"] for s in seen]
    once = [1000 * (s["cost"]["set_up_cpu_s"] + s["cost"]["packing_cpu_s"]) for s in seen]
    rates = [s["looks"] / ((s["end_ns"] - s["begin_ns"]) / 1e9) for s in seen]
    return Row(
        f"`observe --all` with {args.listeners:,} listeners and {args.others:,} other unix sockets, its helper",
        f"<= {100 * args.cost:g} % of a core while watching",
        median(shares) <= 100 * args.cost,
        (
            Series("while watching", "%", shares),
            Series("once, to begin and to end", "ms", once),
            Series("looks at all of them", "1/s", rates),
        ),
    )


def _watched(directory: Path, args: argparse.Namespace) -> dict[str, Any]:
    directory.mkdir()
    order = {
        "duration_s": args.seconds,
        "until_full": False,
        "around_s": 0.0,
        "cost_share": args.cost,
        "sockets": [],
        "status_url": "",
        "error_logs": [],
        "lease_s": _LATE_S,
        "every": True,
        "whole_requests": False,
    }
    program = f"import sys; sys.path.insert(0, {str(HELPERS)!r}); from cgidhost.observe.start import start; "
    words = [sys.executable, "-I", "-B", "-c", program + "start(*sys.argv[1:])"]
    subprocess.run([*words, json.dumps(order), str(directory)], check=True, capture_output=True)
    result, deadline_s = directory / "observation.json", time.monotonic() + args.seconds + _LATE_S
    while not result.exists():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the helper did not end: {(directory / 'observe.log').read_text()}")
        time.sleep(0.1)  # the file is the announcement
    found: dict[str, Any] = json.loads(result.read_text())
    return found


@contextmanager
def _sockets(directory: str, args: argparse.Namespace) -> Iterator[None]:
    words = [sys.executable, "-c", HOLDER, directory, str(args.listeners), str(args.others)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None  # noqa: S101 -- it is a pipe
        if holder.stdout.readline() != b"ready\n":
            raise SystemExit("the sockets could not be made")
        yield
        holder.communicate()


if __name__ == "__main__":
    sys.exit(main())
