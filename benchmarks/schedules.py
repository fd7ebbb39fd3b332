"""Up to which rate our own driver keeps its schedule, and how long a burst takes it: docs/instruments.md has both.

    python -m benchmarks.schedules [--runs 5] [--seconds 2]

Prints, for requests on kept connections and for a new connection each, the 99th percentile of the time from when a
request was due until it was sent, at rising rates by a Poisson process, and the highest rate at which its median over
the runs is below a millisecond. The server answers at once, and takes its own CPU on the same machine as in a trial.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import figures
from benchmarks.figures import ROOT
from cgidlab.drivers.steady import read_sendings

sys.path.insert(0, str(ROOT / "roles" / "trial" / "files"))

from cgidhost.arrivals import Arrivals, due_us

RATES = (500, 1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 20_000)
BURSTS = (100, 300, 600, 1_200, 5_000)
MOST_MS = 1.0


@dataclass(frozen=True)
class Bench:
    """Where it is tried, and with what."""

    place: Path
    seconds: float
    port: int

    def lags_ms(self, kind: str, rate: float, burst: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return by how much each request was sent late."""
        due, sent, rows = (self.place / name for name in ("due.log", "sent.log", "rows.log"))
        arrivals = Arrivals(kind, rate, burst, rate, (), str(seed))
        due.write_text("".join(f"{at}\n" for at in due_us(arrivals, 0.0, self.seconds, 0.0)))
        rows.unlink(missing_ok=True)
        argv = ["--schedule", str(due), str(sent), f"{self.seconds + 5}", str(rows), "127.0.0.1", str(self.port), "/"]
        subprocess.run([self.place / "steady", *argv], check=True, stdout=subprocess.DEVNULL)
        return np.asarray(read_sendings(sent).lag_us / 1000, dtype=np.float64)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as name:
        place = Path(name)
        for program, source in (("steady", "roles/load/files/steady.c"), ("answerer", "benchmarks/answerer.c")):
            subprocess.run([shutil.which("gcc") or "gcc", "-O2", "-o", place / program, ROOT / source], check=True)
        for how, word in (("on kept connections", "keep"), ("on a new connection each", "close")):
            with _answering(place, word) as port:
                bench = Bench(place, args.seconds, port)
                _rates(bench, how, args.runs)
                _bursts(bench, how, args.runs)
    return 0


def _rates(bench: Bench, how: str, runs: int) -> None:
    kept = failed = 0
    for rate in RATES:
        p99 = sorted(float(np.quantile(bench.lags_ms("poisson", rate, 1, n), 0.99)) for n in range(runs))
        figures.say(f"{rate:,} a second {how}: p99 of the lag {median(p99):.2f} ms ({p99[0]:.2f} to {p99[-1]:.2f})")
        kept, failed = (rate, 0) if median(p99) < MOST_MS else (kept, failed + 1)
        if failed > 1:
            break
    figures.say(f"{how}: below {MOST_MS:g} ms up to {kept:,} a second")


def _bursts(bench: Bench, how: str, runs: int) -> None:
    for size in BURSTS:
        last = sorted(float(np.median(_lasts(bench.lags_ms("bursts", 2 * size, size, n), size))) for n in range(runs))
        figures.say(
            f"{size:,} at once {how}: the last is sent after {median(last):.1f} ms ({last[0]:.1f} to {last[-1]:.1f})"
        )


def _lasts(
    lags_ms: np.ndarray[tuple[int], np.dtype[np.float64]], size: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return lags_ms[size - 1 :: size]


@contextmanager
def _answering(place: Path, word: str) -> Iterator[int]:
    with subprocess.Popen([place / "answerer", word], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline() if server.stdout else 0)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
