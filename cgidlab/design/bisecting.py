"""An experiment with two or three commits of httpd as its levels, to find the one that changed a response."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgidlab import figures
from cgidlab.design import hints
from cgidlab.design.beside import FACTOR
from cgidlab.errors import SpecError
from cgidlab.model import (
    MIN_BLOCKS,
    Experiment,
    Factor,
    Level,
    LimitTrials,
    Repetitions,
    Required,
    SmallestEffect,
    VerdictRule,
)

GIT = "git:"
_BLOCKS = 60  # at most, where the file names a number of its own and no range
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Builds:
    """The commits of one run: whichever is compared with is the reference, and the response that counts."""

    repository: str
    levels: tuple[tuple[str, str], ...]  # label and commit
    reference: str  # label
    response: str
    error: float


def name_of(experiment: str) -> str:
    """Return the name of the runs that look for a commit: they are no runs of the experiment as its file has it."""
    return f"{experiment[: _LONGEST_NAME - len('-bisect')]}-bisect"


def with_builds(experiment: Experiment, builds: Builds) -> Experiment:
    """Return the experiment with these commits as the levels of `httpd`, until the response is decided.

    Raises `SpecError` for an experiment that has more than one cell beside them, and for a response it has no
    smallest effect of.
    """
    _check_one_cell(experiment)
    levels = tuple(Level(label, f"{GIT}{builds.repository}#{commit}") for label, commit in builds.levels)
    return replace(
        experiment,
        name=name_of(experiment.name),
        question=f"Which commit changed the {figures.title(builds.response)}? (of: {experiment.question})"[:500],
        factors=(*(f for f in experiment.factors if f.name != FACTOR), Factor(FACTOR, levels)),
        settings={name: value for name, value in experiment.settings.items() if name != FACTOR},
        exclude=tuple(pairs for pairs in experiment.exclude if FACTOR not in dict(pairs)),
        repetitions=_repetitions(experiment.repetitions),
        rule=VerdictRule(
            FACTOR, builds.reference, (_smallest(experiment, builds.response),), required=Required(), error=builds.error
        ),
        limits=LimitTrials.OFF,
    )


def repository_of(sources: Sequence[str]) -> str:
    """Return the repository that all sources of httpd are of, "" where there is none."""
    found = {source.removeprefix(GIT).rpartition("#")[0] or source for source in sources if source.startswith(GIT)}
    return found.pop() if len(found) == 1 and all(s.startswith(GIT) for s in sources) else ""


def _check_one_cell(experiment: Experiment) -> None:
    if experiment.search is not None:
        raise SpecError("a search compares no levels", where=experiment.name, fix="take an experiment with `factors`")
    for factor in experiment.factors:
        if factor.name != FACTOR and len(factor.levels) > 1:
            labels = ", ".join(level.label for level in factor.levels)
            raise SpecError(
                f"a commit is looked for in one cell, and `{factor.name}` has {len(factor.levels)} levels: {labels}",
                where=experiment.name,
                fix=f"add --only {factor.name}={factor.levels[0].label}",
            )


def _smallest(experiment: Experiment, response: str) -> SmallestEffect:
    known = {effect.response: effect for effect in experiment.rule.smallest_effects}
    if response in known:
        return known[response]
    if response not in figures.COLUMNS:
        raise hints.unknown("no response is called", response, known, "--response")
    raise SpecError(
        f"the file says no smallest effect of {response} that matters",
        where="--response",
        fix=f"add it to the file: verdict: {{smallest_effects: {{{response}: 5%}}}}",
    )


def _repetitions(had: Repetitions) -> Repetitions:
    """Return the file's range of blocks, or a wide one where it has none: no look comes before a claim is possible."""
    most = _BLOCKS if had.fixed else had.max
    least = next(n for n in range(MIN_BLOCKS, 1000) if replace(had, min=n, max=n).answering_blocks >= MIN_BLOCKS)
    first = least if had.fixed else max(least, had.min)
    return Repetitions(first, max(first, most), had.passes, had.watch_every)
