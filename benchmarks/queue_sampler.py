"""What sampling the queue 100 times a second costs, also beside 8,000 other unix sockets, next to `ss -xl` a sample.

    python -m benchmarks.queue_sampler [--rounds 5] [--seconds 5] [--others 8000]

The sampler is the one of a trial with listen_queue as its only gauge, watching a unix and a TCP listener that the
benchmark makes, in a network namespace of its own as in a trial (root), and in the host's as with `isolation: host`.
Its cost is the CPU time of its whole process, from the kernel, with no other sockets and with them, in turns.
`ss` (iproute2) lists the host's listeners and is started once a sample. A process that only wakes as often and reads
nothing says what of the cost is the waking.
"""

import argparse
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import figures, waker
from benchmarks.figures import ROOT, Row, Series

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost.instruments.listen_queue import ListenQueue
from cgidhost.sampler import Sampler
from cgidhost.sockdiag import SockDiag
from cgidhost.waiting import Patience

HERTZ = 100
GOAL = 2.0  # per cent of a core
TRIAL, HOST = "a trial's namespace", "the host's namespace"
TIMES = 20  # calls of ss that make one value
# Holds sockets until its standard input ends.
HOLDER = """
import resource, socket, sys
count = int(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, max(count + 100, hard)))
held = [socket.socketpair() for _ in range(count // 2)]
print("ready", flush=True)
sys.stdin.read()
"""


def main() -> int:
    """Sample in turns, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--others", type=int, default=8000)
    parser.add_argument("--sample", action="store_true", help="sample once, here, and print the cost")
    args = parser.parse_args()
    if args.sample:
        with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory:
            print(_sampler(Path(directory), args.seconds))
        return 0
    ways = ([TRIAL] if os.geteuid() == 0 else []) + [HOST]
    ours: dict[tuple[str, int], list[float]] = {(way, others): [] for others in (0, args.others) for way in ways}
    theirs: dict[int, list[float]] = {0: [], args.others: []}
    waking: list[float] = []
    for _ in range(args.rounds):
        for others, of_ss in theirs.items():
            with _sockets(others):
                for way in ways:
                    ours[way, others].append(_sampled(way, args.seconds))
                if shutil.which("ss"):
                    of_ss.append(_ss())
        waking.append(_waker(args.seconds))
    figures.write("queue_sampler", [_row(ours, theirs, waking, args.others)])
    return 0


def _row(
    ours: dict[tuple[str, int], list[float]], theirs: dict[int, list[float]], waking: list[float], most: int
) -> Row:
    judged = {key: values for key, values in ours.items() if key[0] == TRIAL} or ours
    return Row(
        f"queue sampler at {HERTZ} Hz, its whole process, in per cent of a core",
        f"<= {GOAL:.0f} %, also with {most:,} other unix sockets on the host",
        max(median(values) for values in judged.values()) <= GOAL,
        tuple(Series(f"{way}, {_said(others)}", "%", values) for (way, others), values in ours.items()),
        (
            Series(waker.NAME, "%", waking),
            *(
                Series(f"`ss -xl` {HERTZ} times a second, {_said(others)}", "%", values)
                for others, values in theirs.items()
                if values
            ),
        ),
        "To find one socket the kernel walks through those of the network namespace: the host's count only with "
        "`isolation: host`.",
    )


def _sampled(way: str, seconds: float) -> float:
    words = [sys.executable, "-m", "benchmarks.queue_sampler", "--sample", "--seconds", str(seconds)]
    if way == TRIAL:
        words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    if ran.returncode != 0:
        raise SystemExit(f"sampling failed: {ran.stderr[-2000:]}")
    return float(ran.stdout)


def _said(others: int) -> str:
    return f"{others:,} other sockets" if others else "no other sockets"


@contextmanager
def _sockets(count: int) -> Iterator[None]:
    """Have so many unix sockets more on the host, in connected pairs of a process of their own."""
    words = [sys.executable, "-c", HOLDER, str(count)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None  # noqa: S101 -- it is a pipe
        if holder.stdout.readline() != b"ready\n":
            raise SystemExit(f"{count} sockets could not be made")
        yield
        holder.communicate()


def _sampler(directory: Path, seconds: float) -> float:
    """Sample for so long; return the CPU time of the sampling process, in per cent of a core."""
    path = directory / "cgid.sock"
    path.unlink(missing_ok=True)
    with (
        socket.socket(socket.AF_UNIX) as cgid,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        # Patience looks for a stop order on a descriptor; this one never gets any.
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as never,
    ):
        cgid.bind(str(path))
        cgid.listen(100)
        diag = SockDiag()
        listener = diag.find_unix(str(path))
        diag.close()
        port = tcp.getsockname()[1]
        patience = Patience(never.fileno())
        sampler = Sampler({"listen_queue": lambda: ListenQueue(str(directory), listener, "127.0.0.1", port)})
        sampler.wait_until_ready(patience, 10.0)
        before_s, began_s = _cpu_s(sampler.pid), time.monotonic()
        time.sleep(seconds)
        used_s, took_s = _cpu_s(sampler.pid) - before_s, time.monotonic() - began_s
        state = sampler.stop(patience, 10.0)["listen_queue"]
        os.waitpid(sampler.pid, 0)
    if state["state"] != "ran" or state["samples"] < 0.9 * HERTZ * seconds:
        raise SystemExit(f"the sampler did not sample: {state}")
    return 100 * used_s / took_s


def _waker(seconds: float) -> float:
    """Return what it costs to wake as often and to read nothing, in per cent of a core."""
    with waker.awake() as woken:
        before_s, began_s = _cpu_s(woken.pid), time.monotonic()
        time.sleep(seconds)
        return 100 * (_cpu_s(woken.pid) - before_s) / (time.monotonic() - began_s)


def _cpu_s(pid: int) -> float:
    """Return a process's CPU time, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _ss() -> float:
    """Return what it would cost to ask ss as often, in per cent of a core."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(TIMES):
        subprocess.run(["ss", "-xlH"], check=True, stdout=subprocess.DEVNULL)  # noqa: S607 -- of the distribution, wherever it is
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 100 * HERTZ * used_s / TIMES


if __name__ == "__main__":
    sys.exit(main())
