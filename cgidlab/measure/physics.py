"""Whether what several witnesses say of one trial can be true together. Judges, reads no files."""

import numpy as np

from cgidlab.arrays import Ints
from cgidlab.drivers.base import Requests, Totals
from cgidlab.model import Check, FailureKind, Figures, failed, skipped

LITTLE_TOLERANCE = 0.05
DRIVER_LIMIT = 0.95  # cores of its one thread
LAG_SHARE = 0.1  # of the latencies: what the client may lose before it sends
LAG_MS = 10.0  # and so much always: a busy machine wakes nobody sooner
_FEW = 5  # requests that a clock's last digit may put on the other side of an edge
_REFUSALS_APART = 0.1  # of the refused connects: those that are between kernel and log at the window's edges
_INTERIOR = 0.25  # share of the window that must be left to judge Little's law


def check_answers(inside: Requests | None) -> Check:
    """Check that anything was answered in the window at all."""
    if inside is None:
        return skipped("answers", "no log of the driver")
    if not len(inside.status):
        return failed("answers", "no request was answered in the window", FailureKind.CLIENT)
    return Check("answers", "passed")


def check_rows(requests: Requests | None, totals: Totals | None) -> Check:
    """Check that requests done = rows with an answer + requests without one, over all that the driver logs."""
    if requests is None:
        return skipped("rows", "no log of the driver")
    if totals is None:
        return skipped("rows", "the driver printed no totals")
    logged = len(requests.status)
    if totals.done == logged + totals.unanswered:
        return Check("rows", "passed")
    said = f"the driver did {totals.done} requests, {totals.unanswered} of them unanswered, but logged {logged} answers"
    return failed("rows", said, FailureKind.CLIENT)


def check_access_log(
    requests: Requests | None,
    inside: Requests | None,
    served: Ints | None,
    span_us: tuple[int, int],
    uncertainty_us: int = 0,
    clients: int | None = None,
) -> Check:
    """Check that server and client count the same answers in the window.

    They may differ by the requests under way at its edges: one side may put an
    answer inside and the other outside. `uncertainty_us` is by how much the two sides' clocks may differ.
    Where latencies are not known, each of the `clients` of a closed loop may have one under way.
    """
    name = "access_log"
    if requests is None or inside is None:
        return skipped(name, "no log of the driver")
    if served is None:
        return skipped(name, "no access_log")
    if not requests.exact:
        return skipped(name, "the driver places requests to the second only")
    if not requests.timed and clients is None:
        return skipped(name, "the driver does not say how long requests took")
    begun, ended = requests.start_us - uncertainty_us, requests.end_us + uncertainty_us
    under_way = max(int(((begun < edge) & (ended >= edge)).sum()) for edge in span_us)
    tolerance = _FEW + (under_way if requests.timed else clients or 0)
    client, server = len(inside.status), len(served)
    if abs(client - server) <= tolerance:
        return Check(name, "passed")
    said = f"the server answered {server} requests in the window, the client counts {client}"
    return failed(name, f"{said}; {tolerance} could be under way at its edges", FailureKind.INFRA)


def check_little(requests: Requests | None, clients: int | None, span_us: tuple[int, int]) -> Check:
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
        return skipped(name, "no log of the driver")
    if not requests.exact or not requests.timed:
        lacks = "does not say how long requests took" if requests.exact else "places requests to the second only"
        return skipped(name, f"the driver {lacks}")
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


def check_schedule(figures: Figures, *, asked: bool) -> Check:
    """Check that the client sent when requests were due: latencies count from then, so that its own lag is in them.

    `asked`: the driver was to keep a schedule.
    """
    lag_ms, latency_ms = figures.send_lag_p99_ms, figures.latency_p99_ms
    if not asked:
        return skipped("schedule", "no schedule to keep")
    if lag_ms is None:
        return failed("schedule", "no request was due in the window, or none was sent", FailureKind.CLIENT)
    if lag_ms <= max(LAG_MS, LAG_SHARE * (latency_ms or 0.0)):
        return Check("schedule", "passed")
    said = f"the client could not keep its schedule: it sent {lag_ms:.1f} ms late (p99)"
    return failed("schedule", f"{said}, of a p99 latency of {latency_ms or 0.0:.1f} ms", FailureKind.CLIENT)


def refusals_differ(refused: int, logged: int, attempts: int) -> bool:
    """Say whether kernel and error_log cannot both be right about refused connects.

    mod_cgid logs a retry for every refused connect but the last of `attempts`.
    """
    slack = max(_FEW, _REFUSALS_APART * refused)
    fewest = refused * (1 - 1 / attempts) if attempts > 1 else 0
    return not fewest - slack <= logged <= refused + slack


def check_refusals(refused: int | None, logged: int | None, attempts: int) -> Check:
    """Check that kernel and error_log tell of the same refused connects; `logged` are retry lines but for ENOENT."""
    name = "refusals"
    if refused is None:
        return skipped(name, "the kernel's connects were not counted")
    if logged is None:
        return skipped(name, "no error_log that could hold a retry line")
    if not refusals_differ(refused, logged, attempts):
        return Check(name, "passed")
    said = f"the kernel refused {refused} connects, but the error_log has {logged} retry lines for them"
    return failed(name, said, FailureKind.INFRA)


def check_driver(cpu_share: float | None, name: str = "") -> Check:
    """Check that the driver (the busiest one's, on the generator `name`) had CPU left: else it measures itself."""
    if cpu_share is None:
        return skipped("driver", "its CPU was not recorded")
    if cpu_share > DRIVER_LIMIT:
        said = f"the driver{name and f' on {name}'} was saturated: {cpu_share:.2f} of its one core"
        return failed("driver", said, FailureKind.CLIENT)
    return Check("driver", "passed")
