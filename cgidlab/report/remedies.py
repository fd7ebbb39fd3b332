"""What a remedy gains, what it costs and what one must change for it: the rows of a table, in words."""

from collections.abc import Mapping, Sequence

from cgidlab import figures
from cgidlab.analysis.findings import Effect, Remedy
from cgidlab.figures import COLUMNS
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.report.words import change, interval, percent, title
from cgidlab.verdict import programs

HEADINGS = ("Remedy", "At", "What it gains", "What it costs", "Not shown either way", "What one must change")

CHANGES: Mapping[str, str] = {
    "mpm": "load mpm_{label} in place of the MPM that is there",
    "workers": "MaxRequestWorkers {label}",
    "threads_per_child": "ThreadsPerChild {label}",
    "children": "as many processes of it: {label}",
    "cgid_nice": "a nice value of {label} for the cgid daemon, after each start",
    "patches": "build mod_cgid with the patch {label}",
    "somaxconn": "net.core.somaxconn {label}",
}
"""What another level takes, by its factor."""
BACKLOG = "{how} to {label}"
OTHER = "{factor} {label}"


def rows(found: Sequence[Remedy], say: Say = IN_ENGLISH) -> list[tuple[str, ...]]:
    """Return a row a remedy and load, in the columns of HEADINGS."""
    return [_row(one, say) for one in found]


def _row(one: Remedy, say: Say) -> tuple[str, ...]:
    gains: list[str] = []
    costs: list[str] = []
    rest: list[str] = []
    for effect in one.effects:
        (rest if not effect.differs else gains if _is_better(effect) else costs).append(_told(effect, say))
    failed, before = one.failed_share or 0.0, one.failed_as_it_is or 0.0
    if failed != before:
        text = say("{share} of requests fail, {before} as it is", share=percent(failed), before=percent(before))
        (costs if failed > before else gains).append(text)
    return (
        ", ".join(f"{name} {label}" for name, label in one.changes),
        ", ".join(f"{name} {label}" for name, label in one.at),
        *("; ".join(told) or "\N{EN DASH}" for told in (gains, costs, rest)),
        "; ".join(_taken(name, label, one.handler, say) for name, label in one.changes),
    )


def _is_better(effect: Effect) -> bool:
    none = 1.0 if effect.scale == "ratio" else 0.0
    risen = effect.estimate is not None and effect.estimate > none
    return risen == figures.lower_is_worse(effect.response)


def _told(effect: Effect, say: Say) -> str:
    name = title(effect.response, say)
    if effect.scale != "ratio":
        return f"{name} {effect.estimate:+,.1f} {COLUMNS[effect.response].unit}"
    shown = effect.family_interval if effect.differs else effect.interval
    return f"{name} {change(effect.estimate)} ({interval(shown, say)})"


def _taken(factor: str, label: str, handler: str, say: Say) -> str:
    if factor == "handler":
        return say(programs.HANDLERS[label].takes) if label in programs.HANDLERS else label
    known = programs.HANDLERS.get(handler)
    if factor == "listen_backlog" and known is not None and known.program is not None:
        return say(BACKLOG, how=say(known.program.both), label=label)
    return say(CHANGES.get(factor, OTHER), factor=factor, label=label)
