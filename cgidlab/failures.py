"""The kinds of failure and what is done about each. Pure."""

import errno
import os
import re
from dataclasses import dataclass

from cgidlab.model import FailureKind, Outcome

# So many trials in a row that fail in the same way end a run. Cells come in random order, so that in a design
# of which a part works it is next to impossible; and what cannot work at all is known after a minute.
SAME_IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What happens to a trial that failed in one way."""

    meaning: str
    reruns: int | None  # at the end of its block; None: as often as the experiment's `noise.reruns` says
    on_resume: bool  # also when its reruns are used up: the cause lies outside of the trial
    because: str

    @property
    def retried(self) -> str:
        """Return the rule in a few words."""
        if self.reruns is None:
            return "run again at the end of the block as often as noise.reruns says"
        in_block = "run again once at the end of the block" if self.reruns else "not run again"
        return f"{in_block}{', and when the run is resumed' if self.on_resume else ''}"


RULES: dict[FailureKind, FailureRule] = {
    FailureKind.INFRA: FailureRule(
        "the host, the connection or a program that is needed was not there",
        1,
        on_resume=True,
        because="it says nothing of the server, and often passes; what stays has to be mended by hand",
    ),
    FailureKind.SUT: FailureRule(
        "httpd did not start, died, or a CGI answered wrongly",
        0,
        on_resume=False,
        because="it may be the very effect that is looked for: a second try would hide it",
    ),
    FailureKind.CLIENT: FailureRule(
        "the driver failed or was itself the limit",
        1,
        on_resume=False,
        because="a generator that failed may do better; one that is the limit is so again",
    ),
    FailureKind.TREATMENT: FailureRule(
        "the server did not run what the trial names",
        0,
        on_resume=False,
        because="the same settings lead to the same read-back",
    ),
    FailureKind.NOISE: FailureRule(
        "something else on the host disturbed the trial",
        None,
        on_resume=False,
        because="it passes; the experiment says how often it is worth the time",
    ),
    FailureKind.TIMEOUT: FailureRule(
        "a phase took longer than it may",
        1,
        on_resume=False,
        because="a host that was slow once may not be so again; one that hangs always would cost hours",
    ),
    FailureKind.INTERRUPTED: FailureRule(
        "the run was stopped during the trial",
        0,
        on_resume=True,
        because="nothing was wrong with it",
    ),
}


def way(outcome: Outcome) -> str:
    """Return in which way a trial failed: its kind and its reason, whatever the figures in that."""
    return f"{outcome.kind}: {likeness(outcome.reason)}"


def likeness(reason: str) -> str:
    """Return what reasons that differ in their figures alone have in common."""
    return re.sub(r"[0-9]+([.][0-9]+)?", "#", reason)


def is_out_of_room(outcome: Outcome) -> bool:
    """Say whether a trial failed since its host's disk is full: no other trial will do better there."""
    return outcome.kind is FailureKind.INFRA and os.strerror(errno.ENOSPC) in outcome.reason
