"""What servers that do not agree mean for the answer, in words."""

from cgidlab import figures
from cgidlab.analysis.findings import Analysis, HostsApart
from cgidlab.verdict import words


def warnings(analysis: Analysis) -> tuple[str, ...]:
    """Return a clause for the comparison in which the servers differ most; empty when they agree, or there is one."""
    apart = [h for h in analysis.hosts if h.differ and h.p is not None]
    if not apart:
        return ()
    worst = min(apart, key=lambda h: h.p or 0.0)
    more = f" and in {words.count(len(apart) - 1, 'more comparison')}" if len(apart) > 1 else ""
    what = f"what {analysis.rule.factor}={worst.level} does to {figures.title(worst.response)}"
    return (f"the servers do not agree on {what} ({_each(worst)}){more}: no one figure holds for all of them",)


def _each(apart: HostsApart) -> str:
    """Return every host with its own figure."""
    known = [(e.host, e.estimate) for e in apart.effects if e.estimate is not None]
    unit = "ratio " if apart.scale == "ratio" else "difference "
    return ", ".join(f"{host}: {unit}{estimate:.2f}" for host, estimate in known)
