"""What a trial and a report cost in this checkout and in an earlier one, in turns: ratios of one run.

    python -m benchmarks.earlier CHECKOUT [--rounds 6] [--trials 10] [--report 216 10000]

CHECKOUT is another checkout of the project, for example of `git worktree add --detach DIR COMMIT`. It is run by the
Python of its own .venv where it has one, else by this one. Each round has a block of trials of either, in alternating
order, and a `report` of a synthetic run that either has made by itself, its derived files removed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.figures import ROOT, Series, say
from benchmarks.reporting import DERIVED
from benchmarks.trials import EXPERIMENT, WARMUP_S, WINDOW_S

NEWER = "limits: off\n"  # what an earlier version may not know, and then does not do either


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with the Python that runs it."""

    place: Path
    python: str

    @classmethod
    def at(cls, place: Path) -> "Checkout":
        """Return the checkout at a place. Exits where there is none."""
        if not (place / "runner.py").is_file():
            raise SystemExit(f"{place}: no checkout of the project")
        own = place / ".venv" / "bin" / "python"
        return cls(place, str(own if own.exists() else sys.executable))

    def ran_s(self, script: str, *words: str) -> float:
        """Run one of its programs and return the seconds it took. Exits with its message when it fails."""
        began_s = time.monotonic()
        error = self.error(script, *words)
        if error:
            raise SystemExit(f"{self.place}: {script} {' '.join(words)} failed: {error}")
        return time.monotonic() - began_s

    def error(self, script: str, *words: str) -> str:
        """Run one of its programs and return the end of what it says when it fails, or nothing."""
        argv = [self.python, str(self.place / script), *words]
        done = subprocess.run(argv, check=False, cwd=self.place, stdin=subprocess.DEVNULL, capture_output=True)
        return "" if done.returncode == 0 else done.stderr.decode()[-2000:] or f"exit status {done.returncode}"


def main() -> int:
    """Measure both in turns and print the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=10, help="in a block (default: %(default)s)")
    parser.add_argument("--report", type=int, nargs="*", default=[216, 10_000], metavar="TRIALS")
    args = parser.parse_args()
    both = Checkout.at(args.checkout.resolve()), Checkout.at(ROOT)
    with tempfile.TemporaryDirectory(prefix="cgidlab-bench-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        for what, series in (
            ("overhead of a trial", _trials(both, args.rounds, args.trials, place)),
            *((f"report of {n:,} trials", _reports(both, args.rounds, n, place)) for n in args.report),
        ):
            print(line(what, *series), flush=True)
    return 0


def line(what: str, earlier_s: Sequence[float], here_s: Sequence[float]) -> str:
    """Return both figures, and the ratio of the medians."""
    texts = [f"{name} {Series('', 's', values).text}" for name, values in (("earlier", earlier_s), ("here", here_s))]
    return f"{what}: {', '.join(texts)}: {median(here_s) / median(earlier_s):.2f} times"


def _in_turns(rounds: int, both: tuple[Checkout, Checkout]) -> list[Checkout]:
    return [one for n in range(rounds) for one in (both if n % 2 == 0 else reversed(both))]


def _trials(both: tuple[Checkout, Checkout], rounds: int, trials: int, place: Path) -> list[list[float]]:
    levels = ", ".join(str(100 + n) for n in range(trials))
    found: dict[Checkout, list[float]] = {one: [] for one in both}
    file = place / "overhead.yml"
    for number, one in enumerate(_in_turns(rounds, both)):
        say(f"block {number + 1} of {2 * rounds}: {one.place}")
        text = EXPERIMENT.format(levels=levels, warmup=WARMUP_S, window=WINDOW_S, rounds=1)
        file.write_text(text)
        if one.error("runner.py", "validate", str(file)):
            file.write_text(text.replace(NEWER, ""))
        results = place / f"results-{number}"
        one.ran_s("runner.py", str(file), "--results", str(results))
        found[one] += spacing_s(results)
    return list(found.values())


def spacing_s(results: Path) -> list[float]:
    """Return the seconds from a trial's begin to the next one's, beside warm-up and window, in runs of one block."""
    begins_ns = sorted(
        min(phase["begin_ns"] for phase in json.loads(path.read_text())["phases"])
        for path in {found.resolve() for found in results.glob("*/*/trials/*/result.json")}  # `latest` leads there too
    )
    return [(b - a) / 1e9 - WARMUP_S - WINDOW_S for a, b in pairwise(begins_ns)]


def _reports(both: tuple[Checkout, Checkout], rounds: int, trials: int, place: Path) -> list[list[float]]:
    runs = {}
    for number, one in enumerate(both):
        results = place / f"synthetic-{trials}-{number}"
        one.ran_s("scripts/make_synthetic_run.py", "--trials", str(trials), "--results", str(results))
        runs[one] = next(path.parent for path in results.glob("*/*/plan.json")).resolve()
        one.ran_s("runner.py", "report", str(runs[one]))  # measures the trials, as is done when they come home
    found: dict[Checkout, list[float]] = {one: [] for one in both}
    for number, one in enumerate(_in_turns(rounds, both)):
        say(f"report {number + 1} of {2 * rounds}: {one.place}")
        for name in DERIVED:
            (runs[one] / name).unlink(missing_ok=True)
        found[one].append(one.ran_s("runner.py", "report", str(runs[one])))
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
