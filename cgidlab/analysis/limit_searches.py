"""What the trials of a run say of the limits that are searched: the only module that takes a trial for a probe."""

from collections.abc import Mapping, Sequence

from cgidlab.analysis.findings import Combination, FoundLimit, ProbeSeen
from cgidlab.analysis.pairs import value_of
from cgidlab.analysis.searching import Probe, Search
from cgidlab.model import FailureKind, Level, LimitSearch, Status, TrialRecord


def misses(asked: LimitSearch, record: TrialRecord) -> bool | None:
    """Say whether a trial misses a goal; None where it cannot say, being of no use or without the figure.

    A server that did not get through a trial misses.
    """
    if record.outcome.status is not Status.COMPLETE:
        return True if record.outcome.kind is FailureKind.SUT else None
    values = [(goal, value_of(record, goal.figure)) for goal in asked.goals]
    if any(value is not None and not goal.kept_by(value) for goal, value in values):
        return True
    return None if any(value is None for _, value in values) else False


def searches(
    asked: LimitSearch, levels: Sequence[Level], places: Sequence[Combination], records: Sequence[TrialRecord]
) -> dict[Combination, Search]:
    """Return the search of each place (a combination of the other factors), with what its trials taught it.

    `levels` are the candidates in the order in which the goals get harder.
    """
    found = {
        place: Search([float(lv.value) for lv in levels], exceed=asked.exceed, precision=asked.precision)
        for place in places
    }
    for place, probes in _probes(asked, levels, records).items():
        if place in found:
            found[place].learn(probes)
    return found


def _probes(
    asked: LimitSearch, levels: Sequence[Level], records: Sequence[TrialRecord]
) -> Mapping[Combination, list[Probe]]:
    index = {level.label: i for i, level in enumerate(levels)}
    found: dict[Combination, list[Probe]] = {}
    for record in sorted((r for r in records if r.pass_number), key=lambda r: r.number):
        missed = misses(asked, record)
        label = dict(record.levels).get(asked.factor, "")
        if missed is None or label not in index:
            continue
        place = tuple(pair for pair in record.levels if pair[0] != asked.factor)
        short = float(record.settings["window_s"]) <= asked.short_s < asked.window_s
        found.setdefault(place, []).append(Probe((record.host, record.block), index[label], missed, short))
    return found


def found_limits(
    asked: LimitSearch, levels: Sequence[Level], places: Sequence[Combination], records: Sequence[TrialRecord]
) -> tuple[FoundLimit, ...]:
    """Return what is known of the limit at each place."""
    return tuple(
        _found(asked, levels, place, search) for place, search in searches(asked, levels, places, records).items()
    )


def _found(asked: LimitSearch, levels: Sequence[Level], place: Combination, search: Search) -> FoundLimit:
    known = search.believed()
    probes = tuple(
        ProbeSeen(float(levels[p.level].value), p.block[1], missed=p.missed, short=p.short) for p in search.probes
    )
    return FoundLimit(
        factor=asked.factor,
        at=place,
        rising=asked.rising,
        keeps=None if known.low is None else levels[known.low].label,
        misses=None if known.high is None else levels[known.high].label,
        known=search.over,
        blocks=known.blocks,
        kept_there=known.kept_at_low,
        missed_there=known.missed_at_high,
        first=levels[0].label,
        last=levels[-1].label,
        probes=probes,
    )
