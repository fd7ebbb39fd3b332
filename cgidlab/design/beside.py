"""An experiment with the build that a host had before beside the one it has now, in the same blocks."""

from dataclasses import replace

from cgidlab.model import Experiment, Factor, Level, Required, VerdictRule

FACTOR = "httpd"
BUILT = "built:"  # in front of a build's key: a source of httpd that is taken from the host's cache and never made
KEY_LENGTH = 16


def source_of(build_key: str) -> str:
    """Return how the factor `httpd` names a build that is in a host's cache."""
    return BUILT + build_key[:KEY_LENGTH]


def with_old(experiment: Experiment, httpd: str, build_key: str) -> Experiment:
    """Return the experiment with the build that `httpd` was before as the reference, and its own levels against it.

    All other factors stay as they are: each of their combinations is run with the old and with the new build.
    """
    own = next((f for f in experiment.factors if f.name == FACTOR), None)
    levels = (Level(httpd, httpd),) if own is None else own.levels
    before = _label(httpd, levels)
    factor = Factor(FACTOR, (Level(before, source_of(build_key)), *levels))
    others = tuple(f for f in experiment.factors if f.name != FACTOR)
    return replace(
        experiment,
        question=f"Is the new build of httpd as good as the old one? (of: {experiment.question})"[:500],
        factors=(*others, factor) if own is None else tuple(factor if f is own else f for f in experiment.factors),
        settings={name: value for name, value in experiment.settings.items() if name != FACTOR},
        rule=VerdictRule(
            FACTOR, before, experiment.rule.smallest_effects, required=_of_the_new(experiment.rule.required, levels)
        ),
    )


def _label(httpd: str, levels: tuple[Level, ...]) -> str:
    """Return what the old build is called: the level of its own, or else the source, with a word that it was before."""
    own = next((level.label for level in levels if level.value == httpd), httpd)
    label = f"{own} before"
    while label in {level.label for level in levels}:
        label += " that"
    return label


def _of_the_new(required: Required, levels: tuple[Level, ...]) -> Required:
    """Return what is required, of the experiment's own builds alone: the old one is there to be compared with."""
    if FACTOR in dict(required.at):
        return required
    return replace(required, at=(*required.at, *((FACTOR, level.label) for level in levels)))
