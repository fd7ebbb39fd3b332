"""What is said of slots whose truth is known? Prints the table of docs/statistics.md about what limits.

python -m benchmarks.limiting [--trials N]. Fixed seeds; seconds at the default of 200 trials.

Each trial has the slots that a host makes of today's interventions, on 1/f noise as a machine's is, and each component
a true elasticity: what a dose of it costs.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "roles" / "trial" / "files"))

from cgidhost import interventions as on_host
from cgidhost.interventions.performing import turns

from cgidlab.analysis.interventions import LimitsShown, LimitWord, Performed, shown
from cgidlab.design.limiting import SLOTS
from cgidlab.parsers.interventions import UNTOUCHED, InterventionKind, InterventionSlot

KINDS = tuple(InterventionKind(k.name, k.effect, k.component) for k in on_host.INTERVENTIONS.values())  # type: ignore[arg-type]
NS = 1_000_000_000
BASE_RPS = 1_200.0
TRUTH = {"cgid daemon": 1.0, "host CPU": 0.45, "driver": 0.0, "MaxRequestWorkers": 0.1, "scripts": 0.3}


def slots(seed: int, count: int = SLOTS) -> list[InterventionSlot]:
    """Return the slots of a trial as its host makes them."""
    able = [kind(None) for kind in on_host.INTERVENTIONS.values()]  # type: ignore[arg-type]
    order = turns(able, (count - 1) // 2, str(seed))
    found = []
    for n in range(count):
        name, dose = UNTOUCHED, 0.0
        if n % 2:
            one, dose = next(order)
            name = one.name
        found.append(InterventionSlot(n * NS, (n + 1) * NS, name, dose, dose))
    return found


def noise(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return log speeds that wander as a machine's do: 1/f, with the spread of neighbouring seconds measured there."""
    frequencies = np.fft.rfftfreq(4 * count)
    frequencies[0] = frequencies[1]
    spectrum = (rng.normal(size=frequencies.size) + 1j * rng.normal(size=frequencies.size)) / np.sqrt(frequencies)
    wander = np.fft.irfft(spectrum)[:count]
    values: NDArray[np.float64] = wander * 0.05 / np.std(np.diff(wander)) + rng.normal(size=count) * 0.02
    return values


def performed(
    seed: int = 1,
    truth: Mapping[str, float] = TRUTH,
    *,
    first: Mapping[str, float] = {},
    scatter: float = 1.0,
    of: Sequence[InterventionSlot] | None = None,
    clients: int = 200,
) -> Performed:
    """Return a trial in which each component has its true elasticity, and `first` its true gain."""
    rng = np.random.default_rng(seed)
    made = slots(seed) if of is None else of
    components = {k.name: k.component for k in KINDS}
    answered = []
    for slot, log in zip(made, noise(rng, len(made)), strict=True):
        elasticity = truth.get(components.get(slot.name, ""), 0.0)
        log_rate = log * scatter + elasticity * np.log1p(-slot.dose) + np.log1p(first.get(slot.name, 0.0))
        answered.append(np.linspace(slot.begin_ns, slot.end_ns, int(BASE_RPS * np.exp(log_rate)), endpoint=False))
    at = np.concatenate(answered).astype(np.int64)
    return Performed("local", (("clients", "200"),), {"loop": "closed", "clients": clients}, KINDS, tuple(made), at)


def row(component: str, trials: Sequence[LimitsShown]) -> str:
    """Return a line of the table: how often a component's interval held the truth, how wide it is, what was said."""
    truth = TRUTH[component]
    found = [h for one in trials for h in one.held if h.component == component]
    intervals = [h.interval for h in found if h.interval is not None]
    held = sum(i.holds(truth) for i in intervals) / len(trials)
    half = median((i.high - i.low) / 2 for i in intervals)
    said = {word: sum(h.word is word for h in found) / len(trials) for word in LimitWord}
    words = ", ".join(f"{word} {share:.0%}" for word, share in said.items() if share)
    return f"| {truth:g} | {held:.0%} | {half:.2f} | {words} |"


def main() -> int:
    """Print the table, and how often a control accuses a trial in which nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiting", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="simulated (default: %(default)s)")
    trials = [shown(performed(seed)) for seed in range(parser.parse_args().trials)]
    print(f"{len(trials)} trials of {SLOTS} slots\n")
    print("| truth | intervals that hold it | half width, median | said |\n| --- | --- | --- | --- |")
    for component in sorted(TRUTH, key=lambda c: -TRUTH[c]):
        print(row(component, trials))
    print(f"\nA control accuses a sound trial in {sum(one.reason != '' for one in trials) / len(trials):.1%}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
