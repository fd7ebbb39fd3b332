"""Every way to serve that a run tried, beside what is there: what each changes of all that an operator pays for.

Where the verdict's rule asks of one factor, this asks of all of them at once: a cell is compared with the one that has
the reference, or the first level, of every factor but those of the load. The pairs, the spread and the bounds are those
of any other comparison (docs/statistics.md), over all remedies together.
"""

from collections.abc import Mapping, Sequence

from cgidlab.analysis.answers import Bounds
from cgidlab.analysis.effects import Question, compared
from cgidlab.analysis.findings import Combination, Effect, Remedy
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.pairs import by_unit
from cgidlab.figures import COLUMNS
from cgidlab.gathered import answering, median_of, witnessing
from cgidlab.model import Experiment, TrialRecord

RESPONSES = ("throughput_rps", "latency_p50_ms", "latency_p99_ms", "cpu_per_request_ms", "server_memory_mb")
DECIDING = "handler"
"""The factor whose presence asks for remedies."""
_OF_THE_LOAD = frozenset(
    {
        *("clients", "rate", "loop", "arrivals", "burst_requests", "rate_from", "stages", "requests"),
        *("script", "sleep_ms", "burn_ms", "size_bytes"),
    }
)
_AS_IT_IS = "as it is"


def remedies(records: Sequence[TrialRecord], experiment: Experiment) -> tuple[Remedy, ...]:
    """Return what each cell changes against the one as it is, in the order of the cells; nothing without a handler.

    `records` are all of a run, a cell's windows of a block as one (pass 0) among them.
    """
    if DECIDING not in {f.name for f in experiment.factors}:
        return ()
    rule = experiment.rule
    base = {
        f.name: rule.reference if f.name == rule.factor else f.levels[0].label
        for f in experiment.factors
        if f.name not in _OF_THE_LOAD
    }
    # What an instrument alone sees is known of the watched windows, all else of those that nothing disturbed.
    groups, watched = _by_change(answering(records), base), _by_change(witnessing(records), base)
    order = {(f.name, level.label): i for f in experiment.factors for i, level in enumerate(f.levels)}
    ways = {changes: {**base, **dict(changes)} for changes, _ in groups if changes}
    names = sorted(ways, key=lambda c: [order[pair] for pair in ways[c].items()])
    places = sorted({at for _, at in groups}, key=lambda at: [order[pair] for pair in at])
    found = _effects(groups, watched, (names, tuple(places)), experiment)
    return tuple(
        Remedy(
            changes,
            ways[changes][DECIDING],
            at,
            found.get((changes, at), ()),
            _failed(groups[changes, at]),
            _failed(groups.get(((), at), [])),
        )
        for changes in names
        for at in places
        if (changes, at) in groups
    )


_Groups = Mapping[tuple[Combination, Combination], Sequence[TrialRecord]]


def _by_change(records: Sequence[TrialRecord], base: Mapping[str, str]) -> _Groups:
    """Return the trials by what differs from what is there, and by the load."""
    groups: dict[tuple[Combination, Combination], list[TrialRecord]] = {}
    for record in records:
        changes = tuple((n, label) for n, label in record.levels if base.get(n, label) != label)
        at = tuple((n, label) for n, label in record.levels if n in _OF_THE_LOAD)
        groups.setdefault((changes, at), []).append(record)
    return groups


def _effects(
    groups: _Groups,
    watched: _Groups,
    asked_of: tuple[Sequence[Combination], tuple[Combination, ...]],
    experiment: Experiment,
) -> dict[tuple[Combination, Combination], tuple[Effect, ...]]:
    names, places = asked_of
    levels = {changes: ", ".join(f"{n} {label}" for n, label in changes) or _AS_IT_IS for changes, _ in groups}
    smallest = {e.response: e.share for e in experiment.rule.smallest_effects}
    bounds = Bounds(planned_looks(experiment.repetitions), len(RESPONSES), max(1, len(names)), max(1, len(places)))
    found: dict[tuple[str, Combination], list[Effect]] = {}
    for response in RESPONSES:
        asked = Question(
            response, DECIDING, _AS_IT_IS, tuple(levels[c] for c in names), places, smallest.get(response), bounds,
            checks=False,
        )  # fmt: skip
        from_ = watched if COLUMNS[response].source == "server_memory" else groups
        cells = {(levels[c], at): by_unit(trials, response) for (c, at), trials in from_.items() if c in levels}
        for effect in compared(asked, cells):
            if not effect.pooled and effect.estimate is not None:
                found.setdefault((effect.level, effect.at), []).append(effect)
    return {(c, at): tuple(found.get((levels[c], at), ())) for c, at in groups}


def _failed(records: Sequence[TrialRecord]) -> float | None:
    """Return the share of requests that failed."""
    errors, requests = median_of(records, "errors"), median_of(records, "requests")
    return None if errors is None or not requests else errors / requests
