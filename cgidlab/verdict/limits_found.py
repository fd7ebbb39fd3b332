"""What a search found, in words."""

from collections.abc import Sequence

from cgidlab.analysis.findings import FoundLimit
from cgidlab.verdict import templates, words
from cgidlab.verdict.sentences import Sentence, say


def sentences(found: Sequence[FoundLimit]) -> list[Sentence]:
    """Return what was searched, and each limit: of one search at least."""
    most = all(limit.rising for limit in found)
    first = say("found_most" if most else "found_least", factor=found[0].factor)
    return [first, *(_told(limit) for limit in found)]


def where(limit: FoundLimit) -> str:
    """Return the place of a limit, "listen_backlog=100", or "" for the only one."""
    return words.cell(limit.at) if limit.at else ""


def span(limit: FoundLimit) -> str:
    """Return between which levels the limit lies: "between 182 and 190 clients"."""
    unit = templates.COUNTED.get(limit.factor, limit.factor)
    if limit.keeps is None and limit.misses == limit.first:
        return f"{'below' if limit.rising else 'above'} {limit.first} {unit}, where the search begins"
    if limit.misses is None and limit.keeps == limit.last:
        return f"{'above' if limit.rising else 'below'} {limit.last} {unit}, where the search ends"
    low, high = limit.keeps or limit.first, limit.misses or limit.last
    return f"between {low} and {high} {unit}" if limit.rising else f"between {high} and {low} {unit}"


def progress(limit: FoundLimit) -> str:
    """Return a line on what a search knows so far."""
    place = f"{where(limit)}: " if limit.at else ""
    done = "known" if limit.known else "searching"
    return f"{place}{done}, {span(limit)} after {words.count(len(limit.probes), 'trial')}"


def _told(limit: FoundLimit) -> Sentence:
    """Return the limit with what it rests on."""
    place = f"{where(limit)}: " if limit.at else ""
    sides = [
        f"{label} {verb} in {some} of {all_}"
        for label, verb, (some, all_) in (
            (limit.keeps, "kept it", limit.kept_there),
            (limit.misses, "missed it", limit.missed_there),
        )
        if label is not None and all_
    ]
    trials = f"{words.count(len(limit.probes), 'trial')} in {words.count(limit.blocks, 'block')}"
    facts = "; ".join([", ".join(sides), trials] if sides else [trials])
    doubt = "" if limit.known else ", not as well as was asked"
    return say("found_limit", place=place, span=span(limit), doubt=doubt, facts=facts)
