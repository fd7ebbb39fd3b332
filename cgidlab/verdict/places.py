"""Where something is, as people say it: levels, cells, and many cells together. Pure."""

from collections.abc import Sequence

from cgidlab.analysis.findings import Combination
from cgidlab.verdict import programs, templates, words
from cgidlab.verdict.overflow import CellOverflow

QUEUE_FACTORS = {"listen_backlog", "somaxconn"}


def level_of(factor: str, label: str) -> str:
    """Return a level as people say it: its number alone where the factor is the queue."""
    return label if factor in QUEUE_FACTORS else place(factor, label)


def levels_of(factor: str, labels: Sequence[str]) -> str:
    """Return several levels as people say them."""
    if factor == "handler":
        return words.listing([place(factor, label) for label in labels])
    return level_of(factor, words.listing(labels))


def at_place(where: Combination) -> str:
    """Return where the other factors are, " and php-fpm at 200 clients"; nothing where there are none."""
    handler = "".join(f" and {place(name, label)}" for name, label in where if name == "handler")
    rest = [place(name, label) for name, label in where if name != "handler"]
    return handler + (f" at {words.listing(rest)}" if rest else "")


def place(name: str, label: str) -> str:
    """Return a level as people say it: "800 requests a second", "mpm worker", "php-fpm"."""
    unit = templates.COUNTED.get(name)
    if name == "handler" and label in programs.HANDLERS:
        return programs.HANDLERS[label].name
    return f"{grouped(label)} {unit}" if unit else f"{name} {label}"


def grouped(label: str) -> str:
    """Return a label that is a whole number with its thousands apart."""
    return f"{int(label):,}" if label.isascii() and label.isdigit() else label


def is_number(label: str) -> bool:
    """Say whether a label is a number, so that it has an order."""
    try:
        float(label)
    except ValueError:
        return False
    return True


def of_cells(some: Sequence[CellOverflow], everywhere: Sequence[CellOverflow], factor: str, lead: str = " and ") -> str:
    """Return where the cells are among all with their level of `factor`; nothing where that is everywhere.

    By the factors that make the difference, where these do: " at 200 and 400 clients", " and listen_backlog 100 at 400
    clients". Else how many there are. `lead` stands before what is no number of something.
    """
    if len(some) == len(everywhere):
        return ""
    wanted, known = ([tuple(p for p in c.levels if p[0] != factor) for c in cells] for cells in (some, everywhere))
    there, all_ = _labels(wanted), _labels(known)
    if sum(all(label in there[name] for name, label in levels) for levels in known) > len(wanted):
        return f" in {len(some)} of {words.count(len(everywhere), 'cell')}"
    apart = {name: labels for name, labels in there.items() if labels != all_[name]}
    load = [place(name, _listed(labels, all_[name])) for name, labels in apart.items() if name in templates.COUNTED]
    other = [
        levels_of(name, labels) if name == "handler" else place(name, words.listing(labels))
        for name, labels in apart.items()
        if name not in templates.COUNTED
    ]
    return (lead + " and ".join(other) if other else "") + (f" at {words.listing(load)}" if load else "")


def _labels(levels: Sequence[Combination]) -> dict[str, list[str]]:
    """Return each factor's labels that occur, numbers in their order."""
    found: dict[str, list[str]] = {}
    for name, label in dict.fromkeys(pair for one in levels for pair in one):
        found.setdefault(name, []).append(label)
    return {n: sorted(lbs, key=float) if all(map(is_number, lbs)) else sorted(lbs) for n, lbs in found.items()}


def _listed(labels: Sequence[str], everywhere: Sequence[str]) -> str:
    """Return numbers of something one by one, or the ends of a row of them."""
    low, high = (everywhere.index(end) for end in (labels[0], labels[-1]))
    together = len(labels) == high - low + 1 > 2  # noqa: PLR2004 -- two are named
    return f"{grouped(labels[0])} to {grouped(labels[-1])}" if together else words.listing(labels)
