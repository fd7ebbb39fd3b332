"""From an experiment file to an `Experiment`: what its keys mean.

Everything is checked before anything runs: a wrong word costs a second, not a night.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cgidlab import figures
from cgidlab.design import (
    arithmetic,
    arriving,
    choosing,
    deciding,
    faults,
    hints,
    hooks,
    limit_search,
    linking,
    requiring,
    systems,
)
from cgidlab.design import catalogue as cat
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.selecting import check_pairs, kept, label_of, pairs_of, pairs_where
from cgidlab.design.specform import LOAD_KEYS, TRIAL_KEYS, FileForm, LevelForm, RangeForm, Raw, check_form
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import CellPairs, Experiment, Factor, Level, Required, Scalar, Settings
from cgidlab.terminal import is_shown

MAX_TRIALS = 200_000
_MOST_LEVELS = 1000  # of a range
_RATIO = re.compile(r"x([0-9]{1,6}(?:\.[0-9]{1,6})?)")
# Columns of trials.csv that say which trial a row is; a factor of that name would hide them.
IDENTITY_COLUMNS = (
    "trial",
    "block",
    "pass",
    "watched",
    "host",
    "status",
    "reason",
    "kind",
    "overhead_s",
    "started_s",
    "directory",
    "count",
    "mean",
)


def build(
    document: Document,
    catalogue: Catalogue,
    *,
    overrides: Sequence[tuple[str, str]] = (),
    only: Sequence[tuple[str, tuple[str, ...]]] = (),
    target: str | None = None,
) -> Experiment:
    """Check a document and return the experiment it describes.

    `overrides` are fixed settings from the command line (`--set`), `only`
    restricts factors to some levels (`--only`); both are checked like the file.
    Raises `SpecError` naming file, line and key at the first thing that is wrong.
    """
    form = check_form(document, catalogue)
    factors = tuple(_factor(document, catalogue, name, raw) for name, raw in form.factors.items())
    if form.search is not None:
        factors = (*factors, limit_search.factor_of(document, catalogue, form))
    settings, formulas = _settings(document, catalogue, form)
    for name in (*settings, *formulas):
        if name in {f.name for f in factors}:
            raise SpecError(
                f"`{name}` is a factor and a fixed setting", where=document.where(("factors", name)), fix="keep one"
            )
    settings |= _overridden(catalogue, {f.name for f in factors}, overrides)
    derived = _derived(document, catalogue, factors, {n: f for n, f in formulas.items() if n not in settings})
    faults.check_names(document, factors, settings, str(catalogue.options["mpm"].default))
    arriving.check_names(document, factors, settings, catalogue.defaults())
    _check_meaning(document, catalogue, factors, settings)
    settings |= choosing.driver(catalogue, factors, settings, derived)
    rule = deciding.rule(document, form, factors, catalogue)
    exclude = tuple(
        itertools.chain.from_iterable(_exclusions(document, factors, i, raw) for i, raw in enumerate(form.exclude))
    )
    whole, factors = factors, _restricted(factors, only)
    if rule.reference not in {lv.label for f in factors if f.name == rule.factor for lv in f.levels}:
        raise SpecError(
            f"--only leaves out the reference level {rule.factor}={rule.reference}",
            where="--only",
            fix="keep it: every ratio refers to it",
        )
    running = _instruments(catalogue, settings, factors)
    search = None
    if form.search is not None:
        search = limit_search.search_of(document, form, settings, derived, running, catalogue)
        rule = replace(rule, smallest_effects=(), bounds=())
    repetitions = deciding.repetitions(document, form, rule, search)
    required = requiring.required(document, form.require, whole, running, repetitions)
    _check_kept(required, factors)
    experiment = Experiment(
        name=form.name,
        question=form.question,
        target=target or form.target,
        factors=factors,
        settings=settings,
        derived=tuple(derived.items()),
        search=search,
        exclude=kept(exclude, factors),
        repetitions=repetitions,
        seed=form.seed,
        instruments=running,
        rule=replace(rule, required=required),
        noise=deciding.noise(document, form),
        source=document.text,
        limits=deciding.limits(catalogue, form, settings, factors),
        hooks=hooks.commands(document, form.hooks),
    )
    _check_size(experiment, document.where(("factors",)))
    return experiment


def check(experiment: Experiment, catalogue: Catalogue, where: str) -> None:
    """Raise `SpecError` for what no file could have described: an experiment may come out of a stranger's directory."""
    for name, value in experiment.settings.items():
        catalogue.check(name, value, where)
    for name, text in experiment.derived:
        linking.formula(name, text, catalogue, experiment.factors, where)
    for factor in experiment.factors:
        _check_factor(factor.name, catalogue, where)
        for level in factor.levels:
            catalogue.check(factor.name, level.value, where)
            _check_label(level.label, where)
    check_pairs(experiment.exclude, experiment.factors, where)
    known = cat.instruments(catalogue)
    for name in set(experiment.instruments) - set(known):
        raise hints.unknown("no instrument is called", name, known, where)
    requiring.check(experiment.rule.required, experiment.factors, experiment.instruments, where)
    if experiment.search is not None:
        limit_search.check(experiment.search, experiment.factors, experiment.instruments, where)
    _check_size(experiment, where)


def _check_kept(required: Required, factors: Sequence[Factor]) -> None:
    """Refuse to leave out all cells that something is required of."""
    kept = {f.name: {level.label for level in f.levels} for f in factors}
    for name in dict.fromkeys(name for name, _ in required.at):
        if not any(label in kept[name] for n, label in required.at if n == name):
            raise SpecError(
                f"--only leaves out every level of {name} that `require.at` names",
                where="--only",
                fix="keep one: the outcome rests on it",
            )


def _instruments(catalogue: Catalogue, settings: Settings, factors: Sequence[Factor]) -> tuple[str, ...]:
    """Return the instruments that are on in any trial: what they need has to be installed."""
    levels = {f.name: {lv.value for lv in f.levels} for f in factors}
    return tuple(
        name
        for name in cat.instruments(catalogue)
        if any(levels.get(name, {settings.get(name, catalogue.options[name].default)}))
    )


def _check_meaning(
    document: Document, catalogue: Catalogue, factors: Sequence[Factor], settings: Mapping[str, Scalar]
) -> None:
    """Refuse what is set or varied although no cell has a handler that knows it."""
    possible = systems.possible({**catalogue.defaults(), **settings}, factors)
    varied = {f.name for f in factors}
    compiled = catalogue.of_roles("cgid")
    for name in catalogue.options:
        knowing = systems.knowing(name, compiled)
        if (name in settings or name in varied) and not set(possible) & set(knowing):
            raise SpecError(
                f"`{name}` means nothing with the handler {' or '.join(possible)}",
                where=document.where(("factors" if name in varied else "settings", name)),
                fix=f"remove it, or use handler: {knowing[0]}",
            )


def _factor(document: Document, catalogue: Catalogue, name: str, raw: Sequence[Raw | LevelForm] | RangeForm) -> Factor:
    where = document.where(("factors", name))
    _check_factor(name, catalogue, where)
    if isinstance(raw, RangeForm):
        raw = _range(document, name, raw, whole=catalogue.options[name].type == "int")
    if not raw:
        raise SpecError(f"the factor `{name}` has no levels", where=where, fix="write at least one: [100]")
    levels: list[Level] = []
    for index, item in enumerate(raw):
        at = document.where(("factors", name, index))
        value = catalogue.check(name, item.value if isinstance(item, LevelForm) else item, at)
        level = Level(item.label if isinstance(item, LevelForm) else label_of(value), value)
        _check_label(level.label, at)
        if level.label in {lv.label for lv in levels}:
            raise SpecError(
                f"the factor `{name}` has the level `{level.label}` twice",
                where=at,
                fix='remove one, or give it a label of its own: {label: "again", value: ...}',
            )
        levels.append(level)
    return Factor(name, tuple(levels))


def _range(document: Document, name: str, raw: RangeForm, *, whole: bool) -> list[Raw]:
    """Return the levels of a range: those that the steps from its begin reach up to its end, each once."""
    where = document.where(("factors", name, "by"))
    ratio = _RATIO.fullmatch(raw.by) if isinstance(raw.by, str) else None
    if isinstance(raw.by, str) and ratio is None:
        raise SpecError(
            f"`by` is a step or a ratio, not {raw.by!r}", where=where, fix="write a number, or x2 for doubling"
        )
    step = float(ratio[1] if ratio else raw.by)
    if (step <= 1 if ratio else step <= 0) or (ratio and raw.begin <= 0) or raw.to < raw.begin:
        raise SpecError(f"a range by {raw.by} never comes from {raw.begin} to {raw.to}", where=where)
    found: list[Raw] = []
    for n in range(_MOST_LEVELS + 1):
        value = raw.begin * step**n if ratio else raw.begin + step * n
        if value > raw.to:
            return found
        level = round(value) if whole else float(f"{value:.12g}")
        found += [level] if level not in found else []
    raise SpecError(f"the range has more than {_MOST_LEVELS} levels", where=where, fix="take a larger step")


def _check_factor(name: str, catalogue: Catalogue, where: str) -> None:
    if name in {*IDENTITY_COLUMNS, *figures.COLUMNS}:
        raise SpecError(
            f"`{name}` cannot be a factor: it is the name of a column of the results",
            where=where,
            fix="use the name of a role's option",
        )
    if name not in catalogue.options:
        raise catalogue.no_option(name, where)


def _check_label(label: str, where: str) -> None:
    if any(not is_shown(c) for c in label):
        raise SpecError(
            f"the label {label!r} holds what is not shown as itself",
            where=where,
            fix='give it a label on one line: {label: "...", value: ...}',
        )


def _settings(
    document: Document, catalogue: Catalogue, form: FileForm
) -> tuple[dict[str, Scalar], dict[str, tuple[KeyPath, str]]]:
    """Return the fixed settings of the whole file, whichever key they were written under, and formulas of others."""
    found: dict[str, Scalar] = {}
    formulas: dict[str, tuple[KeyPath, str]] = {}
    written: list[tuple[KeyPath, Raw]] = [(("settings", name), value) for name, value in form.settings.items()]
    written += [(("load", name), v) for name in LOAD_KEYS if (v := getattr(form.load, name)) is not None]
    written += [((name,), v) for name in TRIAL_KEYS if (v := getattr(form, name)) is not None]
    for path, value in written:
        name = str(path[-1])
        if name in found or name in formulas:
            raise SpecError(f"`{name}` is set twice", where=document.where(path), fix="keep one of them")
        if isinstance(value, str) and value.startswith(arithmetic.BEGINS):
            formulas[name] = path, value
        else:
            found[name] = catalogue.check(name, value, document.where(path))
    if form.instruments is not None:
        known = cat.instruments(catalogue)
        for index, name in enumerate(form.instruments):
            where = document.where(("instruments", index))
            if name not in known:
                raise hints.unknown("no instrument is called", name, known, where)
            if name in found or form.instruments.index(name) != index:
                raise SpecError(f"the instrument `{name}` is named twice", where=where, fix="keep one")
        found |= {name: name in form.instruments for name in known if name not in form.factors}
    return found, formulas


def _derived(
    document: Document,
    catalogue: Catalogue,
    factors: Sequence[Factor],
    formulas: Mapping[str, tuple[KeyPath, str]],
) -> dict[str, str]:
    """Return the formulas of settings that follow from factors, each without its sign."""
    return {
        name: linking.formula(name, text, catalogue, factors, document.where(path)).text
        for name, (path, text) in formulas.items()
    }


def _overridden(catalogue: Catalogue, factors: set[str], overrides: Iterable[tuple[str, str]]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for name, text in overrides:
        where = f"--set {name}={text}"
        if name in factors:
            raise SpecError(f"`{name}` is a factor of this experiment", where=where, fix=f"use --only {name}={text}")
        option = catalogue.options.get(name)
        found[name] = catalogue.check(name, _typed(text, option.type if option else "str"), where)
    return found


def _typed(text: str, kind: str) -> object:
    if kind == "bool":
        return {"true": True, "false": False}.get(text, text)
    try:
        return {"int": int, "float": float}.get(kind, str)(text)
    except ValueError:
        return text  # the check that follows names the type that was wanted


def _restricted(factors: tuple[Factor, ...], only: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[Factor, ...]:
    kept = {f.name: f for f in factors}
    for name, labels in only:
        where = f"--only {name}={','.join(labels)}"
        if name not in kept:
            raise hints.unknown("no factor is called", name, kept, where)
        have = {lv.label: lv for lv in kept[name].levels}
        for label in labels:
            if label not in have:
                raise hints.unknown(f"`{name}` has no level", label, have, where)
        kept[name] = Factor(name, tuple(lv for lv in kept[name].levels if lv.label in labels))
    return tuple(kept.values())


def _exclusions(
    document: Document, factors: Sequence[Factor], index: int, raw: Mapping[str, Raw | list[Raw]] | str
) -> tuple[CellPairs, ...]:
    path: KeyPath = ("exclude", index)
    if isinstance(raw, str):
        return pairs_where(document, factors, path, raw)
    return (pairs_of(document, factors, path, raw),)


def _check_size(experiment: Experiment, where: str) -> None:
    cells = math.prod(len(f.levels) for f in experiment.factors)
    passes = experiment.repetitions.passes
    # A search tries few of its candidates.
    trials = cells * (1 if experiment.search is not None else experiment.repetitions.max * passes)
    if trials > MAX_TRIALS:
        raise SpecError(
            f"{cells} cells x {experiment.repetitions.max} blocks{f' x {passes} passes' if passes > 1 else ''} = "
            f"{trials} trials; at most {MAX_TRIALS} are planned",
            where=where,
            fix="take fewer levels or blocks",
        )
