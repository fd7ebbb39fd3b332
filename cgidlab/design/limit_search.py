"""`search:`, a limit to be found: from the file's words to candidates, and to a block's trials. Knows no result."""

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cgidlab import figures
from cgidlab.design import hints, requiring
from cgidlab.design.catalogue import Catalogue, instruments
from cgidlab.design.plan import trial_key
from cgidlab.design.specform import FileForm, Raw, SearchForm
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import Cell, CellPairs, Factor, Level, LimitSearch, Plan, Scalar, Settings, Threshold, Trial

_NOT_BESIDE = {
    "repetitions": "a search ends by itself: write `blocks` below `search:`",
    "passes": "leave it out: a block has the trials that the search needs",
    "hooks": "leave them out: they run in watched trials, and most trials of a search are not",
    "watch_every": "leave it out: trials are watched where a goal needs an instrument",
    "require": "leave it out: the goals are below `search:`",
    "limits": "leave it out: ask what limits in an experiment that compares levels, such as what-limits.yml",
    "verdict": "leave it out: the answer is the limit, in each cell of the other factors",
}
_MOST_CANDIDATES = 2000
_SHORTEST_S = 0.5
_SHORT = 4  # times shorter than the window that the question is about
PER_PRECISION = 2  # candidates in a step as wide as the precision


def factor_of(document: Document, catalogue: Catalogue, form: FileForm) -> Factor:
    """Return the factor that is searched, with its candidates as levels, from the smallest to the largest.

    Raise `SpecError` for a factor that cannot be searched and for a range that is none.
    """
    asked = _asked(form)
    where = document.where(("search", "factor"))
    option = catalogue.options.get(asked.factor)
    if option is None:
        raise catalogue.no_option(asked.factor, where)
    if option.type not in {"int", "float"}:
        raise SpecError(f"`{option.name}` takes {option.type}, and only a number has a limit", where=where)
    if option.name in form.factors:
        raise SpecError(f"`{option.name}` is searched and has levels", where=where, fix="leave it out of `factors:`")
    begin, end = (
        catalogue.check(option.name, value, document.where(("search", key)))
        for key, value in (("from", asked.begin), ("to", asked.to))
    )
    assert isinstance(begin, int | float)  # noqa: S101 -- what options of these types take
    assert isinstance(end, int | float)  # noqa: S101 -- same
    if asked.step != 1 and option.type != "int":
        where = document.where(("search", "step"))
        raise SpecError(f"`{option.name}` is no whole number and has no step", where=where, fix="leave it out")
    if not 0 < begin < end:
        raise SpecError(f"there is nothing to search from {begin} to {end}", where=document.where(("search", "to")))
    precision = requiring.share(asked.precision, document.where(("search", "precision")))
    values = _candidates(begin, end, precision, asked.step)
    if len(values) > _MOST_CANDIDATES:
        raise SpecError(
            f"{len(values)} candidates; at most {_MOST_CANDIDATES} are searched",
            where=document.where(("search", "precision")),
            fix="raise `precision`",
        )
    return Factor(option.name, tuple(Level(f"{v}", v) for v in values))


def _candidates(begin: float, end: float, precision: float, of: int) -> list[int] | list[float]:
    step = math.log1p(precision) / PER_PRECISION
    count = math.ceil(math.log(end / begin) / step)
    spread = [begin * (end / begin) ** (n / count) for n in range(count + 1)]
    if isinstance(begin, int) and isinstance(end, int):
        return sorted({v for v in (of * round(value / of) for value in spread) if begin <= v <= end})
    return sorted({float(f"{v:.4g}") for v in spread})


def search_of(
    document: Document, form: FileForm, settings: Settings, formulas: Collection[str], running: Collection[str],
    catalogue: Catalogue,
) -> LimitSearch:  # fmt: skip
    """Return what is searched for. Raise `SpecError` for goals that are none, and for keys that mean nothing beside."""
    asked = _asked(form)
    for key, fix in _NOT_BESIDE.items():
        if key in form.model_fields_set:
            raise SpecError(f"`{key}` means nothing beside `search:`", where=document.where((key,)), fix=fix)
    for i, entry in enumerate(form.exclude):
        if (isinstance(entry, dict) and asked.factor in entry) or (
            isinstance(entry, str) and asked.factor in entry.split()
        ):
            raise SpecError("a level that is searched for is not left out", where=document.where(("exclude", i)))
    if (asked.most is None) is (asked.least is None):
        raise SpecError(
            "a search is for the most or for the least that keeps its goals",
            where=document.where(("search",)),
            fix="write one of: most: {latency_p99_ms: 300}, least: {queue_full_share: 0}",
        )
    rising = asked.most is not None
    key, raw = ("most", asked.most) if rising else ("least", asked.least)
    goals = tuple(_goal(document, ("search", key, name), name, value, running) for name, value in (raw or {}).items())
    if not goals:
        raise SpecError("no goal is named", where=document.where(("search", key)), fix="write {latency_p99_ms: 300}")
    exceed = requiring.share(asked.exceed, document.where(("search", "exceed")))
    if exceed >= 1:
        raise SpecError("a goal that every trial may miss is none", where=document.where(("search", "exceed")))
    precision = requiring.share(asked.precision, document.where(("search", "precision")))
    short_s, window_s = _windows(document, asked, form, settings, formulas, catalogue)
    return LimitSearch(asked.factor, goals, rising, exceed, precision, short_s, asked.blocks, window_s)


def _asked(form: FileForm) -> SearchForm:
    assert form.search is not None  # noqa: S101 -- who asks has looked
    return form.search


def _goal(document: Document, path: KeyPath, name: str, value: Raw, running: Collection[str]) -> Threshold:
    where = document.where(path)
    requiring.check_measured(name, running, where)
    if isinstance(value, str | bool):
        return requiring.threshold(name, value, where)
    if figures.COLUMNS[name].better is not figures.Better.LOWER:
        raise SpecError(
            f"whether `{name}` is to be {value} at least or at most is not said",
            where=where,
            fix=f'write "<= {value}" or ">= {value}"',
        )
    return Threshold(name, "<=", float(value))


def _windows(
    document: Document, asked: SearchForm, form: FileForm, settings: Settings, formulas: Collection[str],
    catalogue: Catalogue,
) -> tuple[float, float]:  # fmt: skip
    """Return the window of trials that are far from the limit, and that of all others, which is no shorter."""
    where = document.where(("search", "short_s"))
    if "window_s" in formulas or "window_s" in form.factors or asked.factor == "window_s":
        raise SpecError("a search has one window for all its trials", where=where, fix="write window_s as a number")
    whole = float(settings.get("window_s", catalogue.options["window_s"].default or 0))
    if asked.short_s is None:
        return min(whole, max(_SHORTEST_S, whole / _SHORT)), whole
    found = float(catalogue.check("window_s", asked.short_s, where))
    if found > whole:
        raise SpecError(f"`short_s` is longer than the window of {whole:g} s", where=where, fix="lower it")
    return found, whole


def check(search: LimitSearch, factors: Sequence[Factor], running: Collection[str], where: str) -> None:
    """Raise `SpecError` for what no file could have asked for: it may come out of a stranger's directory."""
    levels = next((f.levels for f in factors if f.name == search.factor), ())
    if not levels or any(isinstance(lv.value, bool | str) or lv.value <= 0 for lv in levels):
        raise hints.unknown("no factor to be searched is called", search.factor, [f.name for f in factors], where)
    for goal in search.goals:
        requiring.check_measured(goal.figure, running, where)


def others(cell: Cell, search: LimitSearch) -> CellPairs:
    """Return the levels of a cell beside the one that is searched: which search it is of."""
    return tuple((name, level.label) for name, level in cell.levels if name != search.factor)


def block_of(
    plan: Plan,
    catalogue: Catalogue,
    wanted: Mapping[CellPairs, tuple[Sequence[Level], bool]],
    block: int,
) -> tuple[Trial, ...]:
    """Return a block's trials in random order, without numbers of their own (all are 0).

    `wanted` has for each search which levels to try, one as often as it is there, and whether by short windows.
    """
    search = plan.experiment.search
    assert search is not None  # noqa: S101 -- who asks has looked
    cells = {(others(c, search), c.label_of(search.factor)): c for c in plan.cells}
    watched = any(figures.COLUMNS[g.figure].source != figures.LOAD for g in search.goals)
    off: dict[str, Scalar] = {} if watched else dict.fromkeys(_optional(plan, catalogue), False)
    found: list[Trial] = []
    seen: dict[str, int] = {}
    for place, (levels, short) in wanted.items():
        for level in levels:
            own = cells[place, level.label]
            window: dict[str, Scalar] = {"window_s": search.short_s} if short else {}
            cell = replace(own, settings={**own.settings, **off, **window})
            nth = seen[cell.id] = seen.get(cell.id, 0) + 1
            found.append(Trial(0, block, cell, trial_key(cell, block, nth), nth, watched))
    random.Random(f"{plan.experiment.seed}:{block}").shuffle(found)  # noqa: S311 -- an order, not a secret
    return tuple(found)


def _optional(plan: Plan, catalogue: Catalogue) -> list[str]:
    factors = {f.name for f in plan.experiment.factors}
    return [name for name in instruments(catalogue) if name not in factors]
