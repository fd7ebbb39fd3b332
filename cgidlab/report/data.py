"""What a report is made from: the values it takes, and nothing that reads or computes them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cgidlab.analysis.findings import Effect, FoundLimit, HostsApart, NoiseFloor, Remedy
from cgidlab.instruments.base import Answered, TrialDetail
from cgidlab.model import Factor, SmallestEffect, TrialRecord
from cgidlab.report.say import IN_ENGLISH, Say
from cgidlab.verdict.limits import Limit


def _quantile_shares() -> tuple[float, ...]:
    slower = [0.5 * 0.002 ** (i / 60) for i in range(61)]  # from one request in two to one in a thousand
    return tuple(sorted({round(1 - share, 7) for share in (*slower, 0.1, 0.01, 0.001)}))


QUANTILE_SHARES: tuple[float, ...] = _quantile_shares()
"""Shares of the requests at which a report has quantiles: from p50 to p99.9, as dense as a percentile plot is read."""


def beyond(share: float) -> float:
    """Return of how many requests one takes longer than the quantile at `share`."""
    return math.inf if share >= 1 else 1 / (1 - share)


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything a report says. `trials` are in the order of the run.

    `detail` and `requests` are asked only for the trials the report has room
    for, so that a large run costs no more than they do.
    """

    experiment: str
    question: str
    run_id: str
    state: str  # running, interrupted or finished
    overflow: str  # observed, moment, not_observed or inconclusive
    verdict: str
    verdict_lines: tuple[str, ...]
    factors: tuple[Factor, ...]
    factor: str  # the factor whose effect is asked for
    reference: str  # label of its reference level
    seed: int
    smallest_effects: tuple[SmallestEffect, ...]
    trials: tuple[TrialRecord, ...]  # windows, one each
    effects: tuple[Effect, ...]
    noise_floor: tuple[NoiseFloor, ...]
    drift: str
    windows: str  # what the series within windows say: memory from second to second, and the warm-up
    stopping: str  # how many blocks were planned, and when the run might look
    timing: Mapping[str, object]
    provenance: Mapping[str, object]
    detail: Callable[[TrialRecord], TrialDetail | None]
    requests: Callable[[TrialRecord], Answered | None]
    limits: tuple[Limit, ...] = ()  # best evidence first
    hosts: tuple[HostsApart, ...] = ()  # each comparison host by host; empty: one host
    observed: bool = False  # servers were watched as they were: nothing was varied
    answers: tuple[tuple[str, str], ...] = ()  # the verdict in short: name and text; empty where a server was watched
    whole_blocks: tuple[TrialRecord, ...] = ()  # where a block has several passes, each cell's windows of it as one
    watching: str = ""  # which passes answer and which are watched, and what that does; empty: nothing was varied
    damaged: tuple[tuple[str, str], ...] = ()  # files that are left out of all of it, and why
    searched: tuple[FoundLimit, ...] = ()  # of a search, by combination of the other factors
    remedies: tuple[Remedy, ...] = ()  # where the handler is a factor: what each cell changes against the one as it is
    compares: bool = True  # False: the factor has one value, so that there is nothing to compare
    say: Say = IN_ENGLISH  # the language it is told in

    @property
    def compared(self) -> tuple[Effect, ...]:
        """Return the effects to show: a search chose its levels as it went, so theirs would be noise."""
        return () if self.searched else self.effects

    @property
    def compared_by_host(self) -> tuple[HostsApart, ...]:
        """Return the same, host by host."""
        return () if self.searched else self.hosts
