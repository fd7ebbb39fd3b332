"""Whether what several witnesses say of one trial can be true together. Judges, reads no files."""

import numpy as np

from cgidlab.drivers.h2load import Summary
from cgidlab.measure.requests import Requests
from cgidlab.model import Check, FailureKind, failed, skipped
from cgidlab.numeric_lines import Ints

LITTLE_TOLERANCE = 0.05
LOADGEN_LIMIT = 0.95  # cores of its one thread
_FEW = 5  # requests that a clock's last digit may put on the other side of an edge
_INTERIOR = 0.25  # share of the window that must be left to judge Little's law


def answers(inside: Requests | None) -> Check:
    """Check that anything was answered in the window at all."""
    if inside is None:
        return skipped("answers", "no log of the load generator")
    if not len(inside.status):
        return failed("answers", "no request was answered in the window", FailureKind.CLIENT)
    return Check("answers", "passed")


def rows(requests: Requests | None, summary: Summary | None) -> Check:
    """Check that requests done = rows with an answer + requests without one, over all of h2load's main phase."""
    if requests is None:
        return skipped("rows", "no log of the load generator")
    if summary is None:
        return skipped("rows", "the load generator printed no totals")
    logged = len(requests.status)
    if summary.done == logged + summary.errored:
        return Check("rows", "passed")
    said = f"h2load did {summary.done} requests, {summary.errored} of them unanswered, but logged {logged} answers"
    return failed("rows", said, FailureKind.CLIENT)


def access_log(
    requests: Requests | None,
    inside: Requests | None,
    served: Ints | None,
    span_us: tuple[int, int],
    uncertainty_us: int = 0,
) -> Check:
    """Check that server and client count the same answers in the window.

    They may differ by the requests under way at its edges: one side may put an
    answer inside and the other outside. `uncertainty_us` is by how much the two sides' clocks may differ.
    """
    name = "access_log"
    if requests is None or inside is None:
        return skipped(name, "no log of the load generator")
    if served is None:
        return skipped(name, "no access_log")
    if not requests.exact:
        return skipped(name, "the load generator places requests to the second only")
    begun, ended = requests.start_us - uncertainty_us, requests.end_us + uncertainty_us
    under_way = max(int(((begun < edge) & (ended >= edge)).sum()) for edge in span_us)
    tolerance = under_way + _FEW
    client, server = len(inside.status), len(served)
    if abs(client - server) <= tolerance:
        return Check(name, "passed")
    said = f"the server answered {server} requests in the window, the client counts {client}"
    return failed(name, f"{said}; {tolerance} could be under way at its edges", FailureKind.INFRA)


def little(requests: Requests | None, clients: int | None, span_us: tuple[int, int]) -> Check:
    """Check Little's law for a closed loop: clients = throughput x mean latency, within 5 %.

    A finite window cuts requests at both edges, and those under way at its end
    are in no log. So the law is taken in its exact form, the mean number of
    requests under way, over the part of the window that every request under way
    had time to leave: until the longest latency before the last answer.
    """
    name = "little"
    if clients is None:
        return skipped(name, "not a closed loop without a fault")
    if requests is None or not len(requests.status):
        return skipped(name, "no log of the load generator")
    if not requests.exact:
        return skipped(name, "the load generator places requests to the second only")
    begin, end = span_us
    end_us = requests.end_us
    last = min(end, int(end_us.max()))
    interior = last - int(requests.latency_us.max())
    if interior - begin < _INTERIOR * (end - begin):
        return skipped(name, "the longest latency leaves too little of the window")
    time_us = np.clip(end_us, begin, interior) - np.clip(requests.start_us, begin, interior)
    under_way = float(time_us.sum()) / (interior - begin)
    if abs(under_way - clients) <= LITTLE_TOLERANCE * clients:
        return Check(name, "passed")
    said = f"{clients} clients, but throughput x mean latency says {under_way:.1f}"
    if under_way < clients:  # h2load does not come back when httpd closes an idle connection, and does not say so
        said += ": some stopped asking; httpd closes kept-alive connections of a process whose workers are all busy"
    return failed(name, said, FailureKind.CLIENT)


def loadgen(cpu_share: float | None, name: str = "") -> Check:
    """Check that the load generator (the busiest, by its `name`) had CPU left: one that had not measures itself."""
    if cpu_share is None:
        return skipped("loadgen", "its CPU was not recorded")
    if cpu_share > LOADGEN_LIMIT:
        said = f"the load generator{name and f' on {name}'} was saturated: {cpu_share:.2f} of its one core"
        return failed("loadgen", said, FailureKind.CLIENT)
    return Check("loadgen", "passed")
