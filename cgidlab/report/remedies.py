"""What a remedy gains, what it costs and what one must change for it: the rows of a table, in words."""

from collections.abc import Mapping, Sequence

from cgidlab import figures
from cgidlab.analysis.findings import Effect, Remedy
from cgidlab.figures import COLUMNS
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.report.words import change, interval, percent, title

HEADINGS = ("Remedy", "At", "What it gains", "What it costs", "Not shown either way", "What one must change")

HANDLERS: Mapping[str, str] = {
    "cgid": "load mod_cgid; scripts stay",
    "cgi": "load mod_cgi in place of mod_cgid; scripts stay",
    "fcgiwrap": "install fcgiwrap and hand scripts to its socket by mod_proxy_fcgi; scripts stay",
    "php_fpm": "install php-fpm, have the script in PHP, hand it to its socket by mod_proxy_fcgi",
    "gunicorn": "install gunicorn, have the script as a Python application, hand it to its socket by mod_proxy_http",
}
"""What another handler takes, by its name."""
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
BACKLOG_OF_CGID = "build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG={label}; net.core.somaxconn at least as large"
BACKLOG = "a backlog of {label} for its socket; net.core.somaxconn at least as large"
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
        return say(HANDLERS[label]) if label in HANDLERS else label
    if factor == "listen_backlog":
        return say(BACKLOG_OF_CGID if handler == "cgid" else BACKLOG, label=label)
    return say(CHANGES.get(factor, OTHER), factor=factor, label=label)
