"""From an experiment file to an `Experiment`: what its keys mean.

Everything is checked before anything runs: a wrong word costs a second, not a night.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cgidlab import figures
from cgidlab.design import asked, choosing, hints
from cgidlab.design import catalogue as cat
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.specform import LOAD_KEYS, TRIAL_KEYS, FileForm, LevelForm, Raw, UntilForm, check_form
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import (
    MIN_BLOCKS,
    Experiment,
    Factor,
    Level,
    LimitTrials,
    LoopKind,
    NoisePolicy,
    Repetitions,
    Scalar,
    Settings,
    SmallestEffect,
    VerdictRule,
)
from cgidlab.terminal import is_shown

MAX_TRIALS = 200_000
WATCH_EVERY = 4
# 5 % of throughput and 20 % of the tail: below the first a capacity plan does not change, and
# a tail's own spread between equal trials is about that large.
DEFAULT_SMALLEST_EFFECTS = {"throughput_rps": 0.05, "latency_p99_ms": 0.20}
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
    settings = _settings(document, catalogue, form)
    for name in settings:
        if name in form.factors:
            raise SpecError(
                f"`{name}` is a factor and a fixed setting", where=document.where(("factors", name)), fix="keep one"
            )
    settings |= _overridden(catalogue, {f.name for f in factors}, overrides)
    settings |= choosing.driver(catalogue, factors, settings)
    rule = _rule(document, form, factors, catalogue)
    exclude = tuple(_exclusion(document, factors, i, raw) for i, raw in enumerate(form.exclude))
    factors = _restricted(factors, only)
    if rule.reference not in {lv.label for f in factors if f.name == rule.factor for lv in f.levels}:
        raise SpecError(
            f"--only leaves out the reference level {rule.factor}={rule.reference}",
            where="--only",
            fix="keep it: every ratio refers to it",
        )
    experiment = Experiment(
        name=form.name,
        question=form.question,
        target=target or form.target,
        factors=factors,
        settings=settings,
        exclude=exclude,
        repetitions=_repetitions(document, form, rule),
        seed=form.seed,
        instruments=_instruments(catalogue, settings, factors),
        rule=rule,
        noise=_noise(document, form),
        source=document.text,
        limits=_limits(catalogue, form, settings, factors),
    )
    _check_size(experiment, document.where(("factors",)))
    return experiment


def check(experiment: Experiment, catalogue: Catalogue, where: str) -> None:
    """Raise `SpecError` for what no file could have described: an experiment may come out of a stranger's directory."""
    for name, value in experiment.settings.items():
        catalogue.check(name, value, where)
    for factor in experiment.factors:
        _check_factor(factor.name, catalogue, where)
        for level in factor.levels:
            catalogue.check(factor.name, level.value, where)
            _check_label(level.label, where)
    labels = {factor.name: [level.label for level in factor.levels] for factor in experiment.factors}
    for name, label in itertools.chain.from_iterable(experiment.exclude):
        if label not in labels.get(name, ()):
            raise hints.unknown(f"`{name}` has no level", label, labels.get(name, ()), where)
    known = cat.instruments(catalogue)
    for name in set(experiment.instruments) - set(known):
        raise hints.unknown("no instrument is called", name, known, where)
    _check_size(experiment, where)


def _instruments(catalogue: Catalogue, settings: Settings, factors: Sequence[Factor]) -> tuple[str, ...]:
    """Return the instruments that are on in any trial: what they need has to be installed."""
    levels = {f.name: {lv.value for lv in f.levels} for f in factors}
    return tuple(
        name
        for name in cat.instruments(catalogue)
        if any(levels.get(name, {settings.get(name, catalogue.options[name].default)}))
    )


def _factor(document: Document, catalogue: Catalogue, name: str, raw: Sequence[Raw | LevelForm]) -> Factor:
    where = document.where(("factors", name))
    _check_factor(name, catalogue, where)
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


def label_of(value: Scalar) -> str:
    """Return how a value is written in files, tables and on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _settings(document: Document, catalogue: Catalogue, form: FileForm) -> dict[str, Scalar]:
    """Return the fixed settings of the whole file, whichever key they were written under."""
    found: dict[str, Scalar] = {}
    written: list[tuple[KeyPath, Raw]] = [(("settings", name), value) for name, value in form.settings.items()]
    written += [(("load", name), v) for name in LOAD_KEYS if (v := getattr(form.load, name)) is not None]
    written += [((name,), v) for name in TRIAL_KEYS if (v := getattr(form, name)) is not None]
    for path, value in written:
        name = str(path[-1])
        if name in found:
            raise SpecError(f"`{name}` is set twice", where=document.where(path), fix="keep one of them")
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
    return found


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


def _exclusion(
    document: Document, factors: tuple[Factor, ...], index: int, raw: Mapping[str, Raw | list[Raw]]
) -> tuple[tuple[str, str], ...]:
    known = {f.name: f for f in factors}
    pairs: list[tuple[str, str]] = []
    for name, values in raw.items():
        where = document.where(("exclude", index, name))
        if name not in known:
            raise hints.unknown("no factor is called", name, known, where)
        labels = [lv.label for lv in known[name].levels]
        for value in values if isinstance(values, list) else [values]:
            if label_of(value) not in labels:
                raise hints.unknown(f"`{name}` has no level", label_of(value), labels, where)
            pairs.append((name, label_of(value)))
    if not pairs:
        raise SpecError(
            "an empty exclusion would leave out every cell", where=document.where(("exclude", index)), fix="remove it"
        )
    return tuple(pairs)


def _rule(
    document: Document,
    form: FileForm,
    factors: tuple[Factor, ...],
    catalogue: Catalogue,
) -> VerdictRule:
    by_name = {f.name: f for f in factors}
    name = form.verdict.factor or factors[0].name
    if name not in by_name:
        raise hints.unknown("no factor is called", name, by_name, document.where(("verdict", "factor")))
    labels = [lv.label for lv in by_name[name].levels]
    if form.verdict.reference is not None:
        reference = label_of(form.verdict.reference)
        if reference not in labels:
            raise hints.unknown(f"`{name}` has no level", reference, labels, document.where(("verdict", "reference")))
    else:
        usual = catalogue.options[name].default
        reference = next((lv.label for lv in by_name[name].levels if lv.value == usual), labels[0])
    effects = dict(DEFAULT_SMALLEST_EFFECTS)
    responses = list(figures.COLUMNS)
    for response, share in form.verdict.smallest_effects.items():
        where = document.where(("verdict", "smallest_effects", response))
        if response not in responses:
            raise hints.unknown("no response is called", response, responses, where)
        effects[response] = _share(share, where)
    bounds = _bounds(document, form)
    return VerdictRule(name, reference, tuple(SmallestEffect(r, s) for r, s in effects.items()), bounds)


def _bounds(document: Document, form: FileForm) -> tuple[tuple[str, float], ...]:
    """Return which values responses are not to pass: those of the file, else those that its question names."""
    if form.verdict.bounds is None:
        return tuple(asked.bounds(form.question).items())
    responses = list(figures.COLUMNS)
    for response, value in form.verdict.bounds.items():
        where = document.where(("verdict", "bounds", response))
        if response not in responses:
            raise hints.unknown("no response is called", response, responses, where)
        if not 0 < value < math.inf:
            raise SpecError(f"`{response}` is not to pass {value}", where=where, fix="write a number above 0")
    return tuple(form.verdict.bounds.items())


def _repetitions(document: Document, form: FileForm, rule: VerdictRule) -> Repetitions:
    wanted = form.repetitions
    least, most = (wanted, wanted) if isinstance(wanted, int) else (wanted.min, wanted.max)
    found = Repetitions(least, most, form.passes, form.watch_every or WATCH_EVERY, _half_widths(document, form, rule))
    if form.watch_every is None and found.answering_blocks < MIN_BLOCKS:  # too few would be left for any claim
        return replace(found, watch_every=1)
    return found


def _half_widths(document: Document, form: FileForm, rule: VerdictRule) -> tuple[tuple[str, float], ...]:
    """Return how well responses are to be known. A bare share is that of the rule's first response: throughput."""
    if isinstance(form.repetitions, int) or not isinstance(form.repetitions.until, UntilForm):
        return ()
    wanted = form.repetitions.until.half_width
    path: KeyPath = ("repetitions", "until", "half_width")
    known = [e.response for e in rule.smallest_effects]
    if not isinstance(wanted, dict):
        return ((known[0], _share(wanted, document.where(path))),)
    for response in wanted:
        if response not in known:
            raise hints.unknown("the verdict names no response", response, known, document.where((*path, response)))
    if not wanted:
        raise SpecError("no response is named", where=document.where(path), fix="write a share, such as 2%")
    return tuple((response, _share(share, document.where((*path, response)))) for response, share in wanted.items())


def _limits(catalogue: Catalogue, form: FileForm, settings: Settings, factors: Sequence[Factor]) -> LimitTrials:
    """Return where it is tried what limits. By default once, where throughput is compared and can be changed."""
    if form.limits is not None:
        return form.limits
    usual = {"loop": LoopKind.CLOSED.value, "fault": "none"}
    there = {f.name: {level.value for level in f.levels} for f in factors}
    plain = all(
        there.get(name, {settings.get(name, catalogue.options[name].default)}) == {value}
        for name, value in usual.items()
    )
    least = form.repetitions if isinstance(form.repetitions, int) else form.repetitions.min
    return LimitTrials.ONCE if plain and least >= MIN_BLOCKS else LimitTrials.OFF


def _noise(document: Document, form: FileForm) -> NoisePolicy:
    if isinstance(form.noise, str):
        return NoisePolicy(None, None, 0)
    steal = _share(form.noise.max_steal, document.where(("noise", "max_steal")))
    slowdown = _share(form.noise.max_slowdown, document.where(("noise", "max_slowdown")))
    return NoisePolicy(form.noise.max_outsider_cpu, steal, form.noise.reruns, slowdown)


def _share(value: float | str, where: str) -> float:
    try:
        share = float(value.removesuffix("%")) / 100 if isinstance(value, str) and value.endswith("%") else float(value)
    except ValueError:
        share = math.nan
    if not 0 < share <= 10:  # noqa: PLR2004 -- false for NaN too; ten times is beyond any effect that needs a test
        raise SpecError(f"this is a share such as 5% or 0.05, not {value!r}", where=where)
    return share


def _check_size(experiment: Experiment, where: str) -> None:
    cells = math.prod(len(f.levels) for f in experiment.factors)
    passes = experiment.repetitions.passes
    trials = cells * experiment.repetitions.max * passes
    if trials > MAX_TRIALS:
        raise SpecError(
            f"{cells} cells x {experiment.repetitions.max} blocks{f' x {passes} passes' if passes > 1 else ''} = "
            f"{trials} trials; at most {MAX_TRIALS} are planned",
            where=where,
            fix="take fewer levels or blocks",
        )
