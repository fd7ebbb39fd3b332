"""What can be said of a run without its plan, and which trials belong to the plan that there is."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from cgidlab.errors import StoreError
from cgidlab.model import Experiment, Factor, Level, NoisePolicy, Repetitions, Status, TrialRecord, VerdictRule
from cgidlab.runs import store

QUESTION = "(The question, the rule of the verdict and the order of levels cannot be had: plan.json is damaged.)"
_MOST_NUMBER = 100_000_000


def experiment_of(
    run: store.RunDirectory, records: Sequence[TrialRecord], source_sha256: str
) -> tuple[Experiment, tuple[store.Damage, ...]]:
    """Return the experiment of a run and which of its files are damaged: without a plan, what its trials show of it.

    `source_sha256` is what the run wrote down of its experiment file, or empty. Without a plan nothing is judged: what
    the verdict was to rest on is in it alone. Raise `StoreError` of the plan where no trial can be read either.
    """
    damaged = []
    try:
        found = hashlib.sha256(store.source_of(run).encode()).hexdigest()
        if source_sha256 not in ("", found):
            why = "the file was changed: it does not have the checksum in provenance.json"
            damaged.append(store.Damage("experiment.yml", why))
    except StoreError as err:
        damaged.append(run.damage(err))
    try:
        return store.planned(run), tuple(damaged)
    except StoreError as err:
        if not records:
            raise
        return _shown(run, records), (run.damage(err), *damaged)


def _shown(run: store.RunDirectory, records: Sequence[TrialRecord]) -> Experiment:
    levels: dict[str, dict[str, Level]] = {name: {} for name in _usual_factors(records)}
    for record in records:
        for name, label in record.levels:
            if name in levels:
                levels[name].setdefault(label, Level(label, record.settings.get(name, label)))
    factors = tuple(Factor(name, tuple(found.values())) for name, found in levels.items())
    blocks = max(1, len({r.block for r in records}))
    first = factors[0] if factors else Factor("", (Level("", ""),))
    return Experiment(
        name=store.text_of(run.path.parent.name),
        question=QUESTION,
        target="",
        factors=factors,
        settings={},
        exclude=(),
        repetitions=Repetitions(blocks, blocks),
        seed=0,
        instruments=(),
        rule=VerdictRule(first.name, first.levels[0].label, ()),
        noise=NoisePolicy(None, None, 0),
        source="",
    )


def _usual_factors(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Return the names of the factors that most trials have."""
    return Counter(tuple(name for name, _ in r.levels) for r in records).most_common(1)[0][0]


def fitting(
    experiment: Experiment, records: Sequence[TrialRecord]
) -> tuple[tuple[TrialRecord, ...], tuple[store.Damage, ...]]:
    """Return the trials that can be of an experiment, and those that cannot: with other levels, or there twice."""
    labels = {f.name: {level.label for level in f.levels} for f in experiment.factors}
    found: list[TrialRecord] = []
    damaged: list[store.Damage] = []
    numbers: set[int] = set()
    done: set[tuple[tuple[tuple[str, str], ...], int, int, str]] = set()
    for record in records:
        own, place = dict(record.levels), (record.levels, record.block, record.pass_number, record.host)
        complete = record.outcome.status is Status.COMPLETE
        if own.keys() != labels.keys() or any(label not in labels[name] for name, label in own.items()):
            why = "its levels are none of the plan's"
        elif record.number in numbers or record.number > _MOST_NUMBER:
            why = f"its number, {record.number}, is another trial's"
        elif complete and place in done:
            why = "another trial of the same cell, block and pass is complete"
        else:
            numbers.add(record.number)
            done |= {place} if complete else set()
            found.append(record)
            continue
        damaged.append(store.Damage(f"{record.directory}/trial.json", why))
    return tuple(found), tuple(damaged)
