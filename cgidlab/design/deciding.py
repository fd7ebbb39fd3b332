"""What a verdict will rest on, from the file's words: its rule, blocks and noise, and where it asks what limits."""

import math
from collections.abc import Sequence
from dataclasses import replace

from cgidlab import figures
from cgidlab.design import asked, hints, requiring
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.faults import NONE
from cgidlab.design.selecting import label_of
from cgidlab.design.specform import FileForm, UntilForm
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import (
    MIN_BLOCKS,
    Factor,
    LimitSearch,
    LimitTrials,
    LoopKind,
    NoisePolicy,
    Repetitions,
    Settings,
    SmallestEffect,
    VerdictRule,
)

WATCH_EVERY = 4
# 5 % of throughput and 20 % of the tail: below the first a capacity plan does not change, and
# a tail's own spread between equal trials is about that large.
DEFAULT_SMALLEST_EFFECTS = {"throughput_rps": 0.05, "latency_p99_ms": 0.20}


def rule(document: Document, form: FileForm, factors: Sequence[Factor], catalogue: Catalogue) -> VerdictRule:
    """Return what the verdict concludes from. Raise `SpecError` for a factor, level or response that is none."""
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
        effects[response] = requiring.share(share, where)
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


def repetitions(document: Document, form: FileForm, rule: VerdictRule, search: LimitSearch | None) -> Repetitions:
    """Return how many blocks to run: a search has as many as it may need."""
    if search is not None:
        return Repetitions(MIN_BLOCKS, search.blocks)
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
        return ((known[0], requiring.share(wanted, document.where(path))),)
    for response in wanted:
        if response not in known:
            raise hints.unknown("the verdict names no response", response, known, document.where((*path, response)))
    if not wanted:
        raise SpecError("no response is named", where=document.where(path), fix="write a share, such as 2%")
    return tuple(
        (response, requiring.share(share, document.where((*path, response)))) for response, share in wanted.items()
    )


def limits(catalogue: Catalogue, form: FileForm, settings: Settings, factors: Sequence[Factor]) -> LimitTrials:
    """Return where it is tried what limits. By default once, where throughput is compared and can be changed.

    Nothing would be known of one client alone (`analysis.interventions`).
    """
    if form.limits is not None:
        return form.limits
    if form.search is not None:
        return LimitTrials.OFF
    usual = {"loop": LoopKind.CLOSED.value, "fault": NONE}
    there = {f.name: {level.value for level in f.levels} for f in factors}
    plain = all(
        there.get(name, {settings.get(name, catalogue.options[name].default)}) == {value}
        for name, value in usual.items()
    )
    alone = there.get("clients", {settings.get("clients", catalogue.options["clients"].default)}) == {1}
    least = form.repetitions if isinstance(form.repetitions, int) else form.repetitions.min
    return LimitTrials.ONCE if plain and not alone and least >= MIN_BLOCKS else LimitTrials.OFF


def noise(document: Document, form: FileForm) -> NoisePolicy:
    """Return when a trial counts as disturbed. Raise `SpecError` for a share that is none."""
    if isinstance(form.noise, str):
        return NoisePolicy(None, None, 0)
    steal = requiring.share(form.noise.max_steal, document.where(("noise", "max_steal")))
    slowdown = requiring.share(form.noise.max_slowdown, document.where(("noise", "max_slowdown")))
    return NoisePolicy(form.noise.max_outsider_cpu, steal, form.noise.reruns, slowdown)
