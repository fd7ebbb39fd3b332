"""Does the rule that decides a run hold what it says? Prints the tables of docs/statistics.md about whole runs.

python -m benchmarks.answers [--runs N] [PART...]. Fixed seed; about ten minutes at the default of 400 runs a row.

A run here is the flagship's: four levels at three numbers of clients, in random order within each block as a plan has
it, the noise one series in the order of time. The noise is made (1/f, as measured; white with heavy tails) or recorded:
the deviations of a real run's trials from their cell's median, begun at a random place, turned around and mirrored at
random.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from benchmarks.window_noise import Maker, noises
from cgidlab import compare
from cgidlab.analysis.answers import Bounds, answer_of
from cgidlab.analysis.effects import Question, compared
from cgidlab.analysis.findings import Answer, Combination, Effect, band, unanswered
from cgidlab.analysis.intervals import t_interval
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.pairs import Unit
from cgidlab.analysis.trimmed import standard_error
from cgidlab.model import Figures, Outcome, Repetitions, Status, TrialRecord

Array = NDArray[np.float64]
Truth = Mapping[tuple[str, str], float]
"""Log shifts of cells, by level and number of clients; 0 where there is none."""

LEVELS, CLIENTS = ("100", "1", "5", "1024"), ("50", "200", "400")
CELLS = tuple(product(LEVELS, CLIENTS))
PLACES: tuple[Combination, ...] = tuple((("clients", c),) for c in CLIENTS)
SHARE = 0.05
RESPONSES = 2
LOW, HIGH = band(SHARE)
EVERYWHERE = {(level, clients): 1.0 for level in LEVELS[1:] for clients in CLIENTS}


Cells = dict[tuple[str, Combination], dict[Unit, float]]


def run_of(noise: Maker, rng: np.random.Generator, blocks: int, truth: Truth,
           wide: Mapping[str, float] | None = None, *, together: bool = True) -> Cells:  # fmt: skip
    """Return a run's response by cell and block; `wide` multiplies the noise at a number of clients.

    `together`: the levels of one number of clients come one after the other, as in a plan.
    """
    series = noise(rng, blocks * len(CELLS)).reshape(blocks, len(CELLS))
    moment = _together(rng, blocks) if together else rng.random(series.shape)
    order = moment.argsort(1).argsort(1)
    values = np.take_along_axis(series, order, 1)
    return {
        (level, (("clients", clients),)): {
            ("h", b + 1, 1): math.exp(values[b, i] * (wide or {}).get(clients, 1.0) + truth.get((level, clients), 0.0))
            for b in range(blocks)
        }
        for i, (level, clients) in enumerate(CELLS)
    }


def _together(rng: np.random.Generator, blocks: int) -> Array:
    """Return when each cell's turn is in each block: places in random order, and in each place its levels."""
    places = rng.random((blocks, 1, len(CLIENTS))).argsort(2)
    return np.asarray((places + rng.random((blocks, len(LEVELS), len(CLIENTS)))).reshape(blocks, -1), dtype=float)


def upto(cells: Cells, blocks: int) -> Cells:
    """Return the first blocks of a run."""
    return {key: {u: v for u, v in values.items() if u[1] <= blocks} for key, values in cells.items()}


def bounds(looks: tuple[int, ...]) -> Bounds:
    """Return the bounds of the flagship's family."""
    return Bounds(looks, RESPONSES, len(LEVELS) - 1, len(PLACES) + 1)


def asked(looks: tuple[int, ...]) -> Question:
    """Return the question about throughput."""
    return Question("throughput_rps", "listen_backlog", "100", LEVELS[1:], PLACES, SHARE, bounds(looks), checks=False)


def before(cells: Cells) -> list[Answer]:
    """Return the answers of the rule that this one replaced: own spread, Bonferroni, the 95 % interval in the band."""
    family = RESPONSES * (len(LEVELS) - 1) * (len(PLACES) + 1)
    found = []
    for level, place in product(LEVELS[1:], PLACES):
        d = [math.log(v / cells["100", place][u]) for u, v in cells[level, place].items()]
        found.append(answer_of("throughput_rps", SHARE, t_interval(d, 0.05), t_interval(d, 0.05 / family)))
    return [Answer.INCONCLUSIVE if a is Answer.REAL_NEAR else a for a in found]


def shifted(truth: Truth, by: float) -> dict[tuple[str, str], float]:
    """Return a pattern of effects at a log ratio."""
    return {cell: part * by for cell, part in truth.items()}


def _row(*cells: object) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def _head(title: str, *names: str) -> None:
    print(f"\n{title}\n")
    _row(*names)
    _row(*["---"] * len(names))


def _per_cent(hits: int, of: int) -> str:
    return f"{100 * hits / of:.1f}"


def at_nothing(runs: int, rng: np.random.Generator) -> None:
    """Print coverage, false alarms and what is decided where nothing differs."""
    _head(
        "Where nothing differs, % (coverage of 95 % intervals; runs with any false difference; decided)",
        "noise", "blocks", "coverage, cells", "coverage, common", "false difference", "levels decided, before",
        "levels decided", "runs with all levels decided", "standard error of a ratio",
    )  # fmt: skip
    for (name, noise), blocks in product(noises().items(), (6, 12, 36)):
        held = total = held_common = alarms = levels_before = levels_after = whole = 0
        errors = []
        for _ in range(runs):
            cells = run_of(noise, rng, blocks, {})
            found = compared(asked((blocks,)), cells)
            here = [e for e in found if not e.pooled]
            total += len(here)
            held += sum(e.interval is not None and e.interval.holds(1.0) for e in here)
            held_common += sum(e.interval is not None and e.interval.holds(1.0) for e in found if e.pooled)
            alarms += any(e.differs for e in found)
            old = np.array([a.decided for a in before(cells)]).reshape(3, 3)
            levels_before += int(old.all(1).sum())
            open_levels = {e.level for e in unanswered(found)}
            levels_after += 3 - len(open_levels)
            whole += not open_levels
            errors += [error_of(e) for e in here]
        _row(
            name, blocks, _per_cent(held, total), _per_cent(held_common, 3 * runs), _per_cent(alarms, runs),
            _per_cent(levels_before, 3 * runs), _per_cent(levels_after, 3 * runs), _per_cent(whole, runs),
            f"{100 * float(np.median(errors)):.2f} %",
        )  # fmt: skip


def error_of(effect: Effect) -> float:
    """Return the standard error of a log ratio."""
    return standard_error(effect.block_sd or 0.0, effect.blocks, effect.trimmed)


def at_the_boundary(runs: int, rng: np.random.Generator) -> None:
    """Print how often less is claimed than is true."""
    _head(
        "Where 5 % is lost: claims of less, and of more, %",
        "noise", "blocks", "where", "a cell is less", "the common effect is less", "a cell is 5 % or more",
        "interaction shown",
    )  # fmt: skip
    one = {(level, "400"): 1.0 for level in LEVELS[1:]}
    for (name, noise), blocks, (where, truth) in product(
        noises().items(), (6, 36), (("everywhere", EVERYWHERE), ("at 400 clients alone", one))
    ):
        less = common = more = shown = total = 0
        for _ in range(runs):
            found = compared(asked((blocks,)), run_of(noise, rng, blocks, shifted(truth, LOW)))
            hit = [e for e in found if not e.pooled and (e.level, dict(e.at)["clients"]) in truth]
            total += len(hit)
            less += sum(e.answer is Answer.EQUIVALENT for e in hit)
            more += sum(e.answer is Answer.COSTS_AT_LEAST for e in hit)
            common += sum(e.pooled and e.answer is Answer.EQUIVALENT and not e.interaction for e in found)
            shown += sum(e.interaction for e in found)
        _row(name, blocks, where, *(_per_cent(n, m) for n, m in
             ((less, total), (common, 3 * runs), (more, total), (shown, 3 * runs))))  # fmt: skip


def with_looks(runs: int, rng: np.random.Generator) -> None:
    """Print false alarms over all looks, and the blocks after which a run that stops when decided has stopped."""
    _head(
        "Runs that look: any false difference at any look, and false equivalence (one comparison at 5 % lost), %",
        "noise", "looks", "false difference", "by every look at 5 %", "false equivalence", "decided at the end",
        "blocks, median",
    )  # fmt: skip
    for (name, noise), looks in product(
        noises().items(), (planned_looks(Repetitions(6, 30)), planned_looks(Repetitions(12, 36)))
    ):
        alarms = naive = wrong = decided = 0
        stopped = []
        for _ in range(runs):
            cells = run_of(noise, rng, looks[-1], {})
            lost = run_of(noise, rng, looks[-1], {("1", "200"): LOW})
            by_look = [compared(asked(looks), upto(cells, n)) for n in looks]
            alarms += any(e.differs for found in by_look for e in found)
            naive += any(e.differs for n in looks for e in compared(asked((n,)), upto(cells, n)))
            wrong += any(_wrong(compared(asked(looks), upto(lost, n))) for n in looks)
            ends = [n for n, found in zip(looks, by_look, strict=True) if not unanswered(found)]
            decided += bool(ends)
            stopped.append(ends[0] if ends else looks[-1])
        _row(name, looks, *(_per_cent(n, runs) for n in (alarms, naive, wrong, decided)), int(np.median(stopped)))


def _wrong(found: Sequence[Effect]) -> bool:
    return any(e.answer is Answer.EQUIVALENT and not e.pooled and (e.level, dict(e.at)["clients"]) == ("1", "200")
               for e in found)  # fmt: skip


def unequal(runs: int, rng: np.random.Generator) -> None:
    """Print what sharing does where spreads differ."""
    _head(
        "Spreads that differ over clients (50 : 200 : 400): coverage of 95 % intervals, %",
        "noise", "blocks", "spreads", "at 50", "at 200", "at 400", "false difference", "taken for equal",
    )  # fmt: skip
    for (name, noise), blocks, spreads in product(
        list(noises().items())[:2], (6, 12, 36), ((1.0, 1.0, 1.0), (1.0, 1.0, 1.5), (1.0, 1.0, 2.0), (1.0, 2.0, 4.0))
    ):
        wide = dict(zip(CLIENTS, spreads, strict=True))
        held = dict.fromkeys(CLIENTS, 0)
        alarms = shared = 0
        for _ in range(runs):
            found = compared(asked((blocks,)), run_of(noise, rng, blocks, {}, wide))
            alarms += any(e.differs for e in found)
            shared += any(e.sharing == "shared" for e in found)
            for e in found:
                if not e.pooled:
                    held[dict(e.at)["clients"]] += e.interval is not None and e.interval.holds(1.0)
        told = " : ".join(f"{s:g}" for s in spreads)
        _row(name, blocks, told, *(_per_cent(held[c], 3 * runs) for c in CLIENTS), _per_cent(alarms, runs),
             _per_cent(shared, runs))  # fmt: skip


def predictions(runs: int, rng: np.random.Generator) -> None:
    """Print how often "N more blocks decide it with a chance of 80 %" was right."""
    _head(
        "Predictions that a comparison is decided after N more blocks with a chance of 80 %",
        "noise", "true change", "open after 12 blocks, %", "of these with a prediction, %", "N, median", "right, %",
    )  # fmt: skip
    for (name, noise), change in product(noises().items(), (0.0, 0.02, 0.035, 0.05, 0.08)):
        opened = told = right = 0
        told_n = []
        for _ in range(runs):
            cells = run_of(noise, rng, 48, shifted(EVERYWHERE, math.log1p(change)))
            found = [e for e in compared(asked((12,)), upto(cells, 12)) if not e.pooled]
            for e in (e for e in found if e.answer is Answer.INCONCLUSIVE):
                opened += 1
                if e.more_blocks is None:
                    continue
                told += 1
                told_n.append(e.more_blocks)
                n = 12 + e.more_blocks
                later = compared(asked((n,)), upto(cells, n))
                right += next(x.answer.decided for x in later if (x.level, x.at) == (e.level, e.at) and not x.pooled)
                break  # one a run: they share their trials
        median = int(np.median(told_n)) if told_n else "-"
        _row(name, f"{100 * change:g} %", _per_cent(opened, 9 * runs), _per_cent(told, max(1, opened)), median,
             _per_cent(right, told) if told else "-")  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """What comparisons of two runs of one build found."""

    worse: int  # pairs in which something is worse by 5 %
    differ: int  # in which some interval of all comparisons leaves out "no change"
    welch_worse: int  # the same by Welch's interval over all trials
    welch_differ: int
    error: float  # standard error of what a level lost, median over all


def pairs_of_runs(
    pairs: int, rng: np.random.Generator, noise: Maker, *, earlier: int,
    blocks: int = 8, apart: float = 0.08,
) -> Pairs:  # fmt: skip
    """Compare pairs of runs of one build, whose hosts' pace lies `apart` from run to run, after `earlier` such runs."""
    names = tuple((("listen_backlog", level), *place) for level, place in product(LEVELS, PLACES))
    worse = differ = welch_worse = welch_differ = 0
    widths = []
    for _ in range(pairs):
        runs = [
            {k: {u: v * pace for u, v in values.items()} for k, values in run_of(noise, rng, blocks, {}).items()}
            for pace in np.exp(apart * rng.standard_normal(2 + max(0, earlier - 1)))
        ]
        a, b, *past = ([_trial(k, u, v) for k, values in cells.items() for u, v in values.items()] for cells in runs)
        medians = [_medians(run) for run in (a, *past)][:earlier]
        found = compare.ratios(
            a, b, names, {"throughput_rps": SHARE}, reference=("listen_backlog", "100"), earlier=medians
        )
        mine = [r for r in found if r.threshold is not None]
        worse += any(r.worse for r in mine)
        differ += any(r.family_interval is not None and not r.family_interval.holds(1.0) for r in mine)
        widths += [math.log(r.interval.high / r.interval.low) / 4 for r in mine if r.against and r.interval]
        by_welch = [_welch(runs[0][key], runs[1][key], 0.05 / len(names)) for key in runs[0]]
        welch_worse += any(high < LOW for _, high in by_welch)
        welch_differ += any(low > 0 or high < 0 for low, high in by_welch)
    return Pairs(worse, differ, welch_worse, welch_differ, float(np.median(widths)))


def _trial(key: tuple[str, Combination], unit: Unit, value: float) -> TrialRecord:
    levels = (("listen_backlog", key[0]), *key[1])
    name = f"{levels} {unit[1]}"
    done = Outcome(name, Status.COMPLETE, "", None)
    return TrialRecord(unit[1], unit[1], name, "", unit[0], levels, {}, done, Figures(throughput_rps=value), None, None)


def _medians(run: Sequence[TrialRecord]) -> dict[frozenset[tuple[str, str]], dict[str, float]]:
    values: dict[frozenset[tuple[str, str]], list[float]] = {}
    for r in run:
        values.setdefault(frozenset(r.levels), []).append(r.figures.throughput_rps or 0.0)
    return {cell: {"throughput_rps": float(np.median(v))} for cell, v in values.items()}


def _welch(ours: Mapping[Unit, float], theirs: Mapping[Unit, float], alpha: float) -> tuple[float, float]:
    found = stats.ttest_ind(
        np.log(list(theirs.values())), np.log(list(ours.values())), equal_var=False
    ).confidence_interval(1 - alpha)
    return float(found.low), float(found.high)


def between_runs(runs: int, rng: np.random.Generator) -> None:
    """Print what is found between two runs of one build."""
    _head(
        "Two separate runs of one build, 8 blocks each, whose hosts' pace differs by 8 %: pairs with a finding, %",
        "noise", "earlier runs", "differ", "worse by 5 %", "differ, Welch on trials", "worse by 5 %, Welch on trials",
        "standard error of a level's ratio",
    )  # fmt: skip
    for (name, noise), earlier in product(noises().items(), (0, 4, 8)):
        found = pairs_of_runs(min(runs, 200), rng, noise, earlier=earlier)
        counts = (found.differ, found.worse, found.welch_differ, found.welch_worse)
        _row(name, earlier, *(_per_cent(n, min(runs, 200)) for n in counts), f"{100 * found.error:.1f} %")


def orders(runs: int, rng: np.random.Generator) -> None:
    """Print what the order of a pass makes of the error of a ratio."""
    _head(
        "The error of a ratio (standard deviation of its estimates), by the order of a block's cells",
        "noise", "correlation of neighbours", "of trials 12 apart", "blocks", "all cells mixed",
        "compared ones next to each other", "share of the variance that is left",
    )  # fmt: skip
    for (name, noise), blocks in product(noises().items(), (12, 36)):
        errors = []
        long = [noise(rng, 240) for _ in range(runs)]
        near_by = [f"{np.mean([np.corrcoef(s[:-lag], s[lag:])[0, 1] for s in long]):.2f}" for lag in (1, len(CELLS))]
        for together in (False, True):
            found = [compared(asked((blocks,)), run_of(noise, rng, blocks, {}, together=together)) for _ in range(runs)]
            logs = [math.log(e.estimate) for effects in found for e in effects if not e.pooled and e.estimate]
            errors.append(float(np.std(logs)))
        mixed, near = errors
        _row(
            name, *near_by, blocks, f"{100 * mixed:.2f} %", f"{100 * near:.2f} %", f"{100 * (near / mixed) ** 2:.0f} %"
        )


PARTS = {
    "nothing": at_nothing, "boundary": at_the_boundary, "looks": with_looks, "unequal": unequal,
    "predictions": predictions, "compare": between_runs, "orders": orders,
}  # fmt: skip


def main() -> None:
    """Print the tables that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=400)
    args = parser.parse_args()
    for number, (name, part) in enumerate(PARTS.items()):
        if not args.parts or name in args.parts:
            part(args.runs, np.random.default_rng([20150406, number]))


if __name__ == "__main__":
    main()
