"""From a trial's directory to its figures and to whether they can be true. Reads, and writes only the column file.

Everything is cut to the window of `result.json` by converting the host's clocks.
A request belongs to the window if it was answered in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cgidlab import drivers
from cgidlab.arrays import Flags, Ints
from cgidlab.drivers.base import Driver, Requests, Sendings, Totals
from cgidlab.figures import merged
from cgidlab.instruments import INSTRUMENTS, check_known
from cgidlab.instruments.base import Answered, Evidence, TrialDetail, together
from cgidlab.instruments.gauges import percentile_ms
from cgidlab.measure import merging, physics, reloads
from cgidlab.measure import requests as reqs
from cgidlab.model import Check, Figures, skipped
from cgidlab.parsers.access_log import AccessLog
from cgidlab.parsers.documents import DriverRun, Result, Span, TrialFile, parse_trial, read_result
from cgidlab.rundir import read

__all__ = [
    "Check",
    "Measured",
    "TrialDetail",
    "answered",
    "answered_ns",
    "detail",
    "latencies_us",
    "measure",
    "whole",
    "write_rows",
]

_NOT_OVERHEAD = ("warmup", "window")
_UNAVAILABLE = 503
_ATTEMPTS = 15  # DEFAULT_CONNECT_ATTEMPTS, where a trial does not say


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trial measured, and whether its witnesses agree."""

    figures: Figures
    checks: tuple[Check, ...]
    overhead_s: float | None  # all phases but warm-up and window
    started_s: float | None  # seconds since 1970 of the window's begin
    throughput_rps: tuple[float, ...]  # second by second of the window
    p99_ms: tuple[float | None, ...]  # same
    generators: tuple[Mapping[str, Any], ...] = ()  # a row each, where other machines than the server's made the load


@dataclass(frozen=True, slots=True)
class _Sources:
    """What client and server logged of one trial, cut to its window."""

    result: Result
    window: Span
    span_us: tuple[int, int]
    driver: Driver | None  # None: it did not come so far
    requests: Requests | None
    inside: Requests | None
    sendings: Sendings | None  # None: the driver keeps no schedule
    log: AccessLog | None
    served: Ints | None  # statuses the server answered with in the window
    totals: Totals | None
    load: merging.Merged | None  # None: the server's host made it


def measure(directory: Path) -> Measured:
    """Return the figures of the trial in `directory` and the checks on them.

    Raise `StoreError` naming the file if `result.json` or `trial.json` is missing or wrong, or
    an instrument's file is not what its header should say, or nobody knows an instrument. A trial that ended
    before its window has no figures.
    """
    result, trial = _read_result(directory), _read_trial(directory)
    overhead_s = sum(p.span.length_s for p in result.phases if p.name not in _NOT_OVERHEAD) if result.phases else None
    sources = _sources(directory, result)
    if sources is None:
        none = skipped("window", "the trial ended before its window did")
        return Measured(Figures(), (none,), overhead_s, None, (), ())
    client, seconds = _client(sources)
    made = reloads.made_in(directory, sources.window)
    evidence = Evidence(directory, result, sources.window, trial.settings, client.requests, made)
    lost = client.errors if sources.totals is not None else None  # without totals, unanswered requests are not known
    figures = merged((client, reloads.cost(made, lost), *(i.figures(evidence) for i in INSTRUMENTS)))
    load = sources.load
    if load is not None:
        figures = replace(figures, driver_cpu_share=load.cpu_share)
    figures = replace(
        figures, cpu_per_request_ms=_cpu_per_request_ms(figures, sources.window.length_s, driver_apart=load is not None)
    )
    # A fault ends connections on purpose: the number of clients is then not what the law asks for.
    steady = trial.settings.get("fault", "none") == "none"
    asked = trial.settings.get("clients") if trial.settings.get("loop") == "closed" else None
    clients = asked if isinstance(asked, int) else None
    figures = replace(figures, waiting_beyond_p99=_waiting_beyond_p99(sources, figures, clients))
    unsure_us = load.uncertainty_us if load else 0
    checks = (
        *((merging.check_generators(load, result, trial.settings),) if load else ()),
        physics.check_answers(sources.inside),
        physics.check_rows(sources.requests, sources.totals),
        physics.check_access_log(sources.requests, sources.inside, sources.served, sources.span_us, unsure_us, clients),
        physics.check_little(sources.requests, clients if steady else None, sources.span_us),
        physics.check_schedule(figures, asked=_keeps_schedule(sources, trial)),
        *reloads.check(trial.settings, made, lost),
        *(() if trial.settings.get("loop") == "observed" else (_check_refusals(figures, trial),)),
        _check_driver(figures, load, trial),
        *evidence.checks,
    )
    return Measured(
        figures,
        checks,
        overhead_s,
        result.clock.to_realtime_ns(sources.window.begin_ns) / 1e9,
        tuple(seconds.throughput_rps.tolist()) if seconds else (),
        tuple(None if np.isnan(v) else float(v) for v in seconds.p99_ms) if seconds else (),
        merging.table(load, trial.settings) if load else (),
    )


def _check_driver(figures: Figures, load: merging.Merged | None, trial: TrialFile) -> Check:
    if trial.settings.get("driver_cpu_us"):
        return skipped("driver", "it was told to use CPU, so that it limits")
    return merging.check_driver(load) if load else physics.check_driver(figures.driver_cpu_share)


def _keeps_schedule(sources: _Sources, trial: TrialFile) -> bool:
    return trial.settings.get("loop") == "open" and sources.driver is not None and sources.driver.schedules


def _cpu_per_request_ms(figures: Figures, window_s: float, *, driver_apart: bool) -> float | None:
    """Return the CPU of all of the trial but the driver, which may be on another machine, by requests."""
    own, driver = figures.trial_cpu_share, 0.0 if driver_apart else figures.driver_cpu_share
    if own is None or driver is None or not figures.requests:
        return None
    return max(0.0, own - driver) * window_s * 1000 / figures.requests


def _check_refusals(figures: Figures, trial: TrialFile) -> Check:
    """Return the check of kernel against log; on a watched server the verdict makes it and says both figures."""
    logged, missing = figures.retries_in_window, figures.retries_enoent_in_window
    attempts = trial.settings.get("connect_attempts", _ATTEMPTS)
    return physics.check_refusals(
        figures.connects_refused,
        None if logged is None else logged - (missing or 0),
        attempts if isinstance(attempts, int) else _ATTEMPTS,
    )


def write_rows(directory: Path) -> Path | None:
    """Write the driver's rows as `load/requests.parquet` and return its path; None where it logs no latencies.

    Columns: start_us (int64, since 1970), status (int16, 0: not known), latency_us (int64), and generator
    (text) where other machines made the load; times are then the server's. Raise `StoreError` if there
    are no rows or the file cannot be written.
    """
    result = _read_result(directory)
    driver = _driver(directory, result.load)
    if driver is None or not driver.timed:
        return None
    return merging.write_rows(directory, result) if merging.applies(directory) else reqs.write_rows(directory, driver)


def has_rows(directory: Path) -> bool:
    """Say whether a driver left any rows."""
    return (directory / reqs.ROWS).exists() or any((directory / "load").glob("*/rows.log"))


def latencies_us(directory: Path) -> Ints | None:
    """Return the latency of every request answered in the window, None if there is no window or no log."""
    result = _read_result(directory)
    requests = None if result.window is None else _requests(directory, result)
    if result.window is None or requests is None:
        return None
    return requests.within(reqs.span_us(result.window, result.clock.to_realtime_ns(0))).latencies_us


def answered_ns(directory: Path) -> Ints | None:
    """Return when each good answer was there, by the host's CLOCK_MONOTONIC; None if there is no window or no log.

    Where the driver places no request exactly, the server's log says it.
    """
    sources = _sources(directory, _read_result(directory))
    if sources is None or sources.requests is None:
        return None
    requests, log = sources.requests, sources.log
    at_us = requests.end_us[~requests.failed]
    if log is not None and not requests.exact:
        at_us = log.end_us[_succeeded(log.status)]
    return at_us * 1000 - sources.result.clock.to_realtime_ns(0)


def _requests(directory: Path, result: Result) -> Requests | None:
    """Return what the driver logged, on all machines that made the load."""
    if merging.applies(directory):
        return merging.merged(directory, result).requests
    driver = _driver(directory, result.load)
    return None if driver is None else reqs.read_requests(directory, driver)


def whole(directories: Sequence[Path]) -> Figures:
    """Return the latencies of all requests answered in the windows of several trials, taken as one window.

    What is not a latency stays None. Raise `StoreError` naming the file of one that cannot be read.
    """
    found = [one for d in directories if (one := latencies_us(d)) is not None]
    together_us = np.concatenate(found) if found else np.array([], dtype=np.int64)
    return replace(_latencies(together_us), requests=len(together_us))


def answered(directory: Path) -> Answered | None:
    """Return the requests answered in the window, None if there is no window or no log that says how long each took."""
    result = _read_result(directory)
    requests = None if result.window is None else _requests(directory, result)
    if result.window is None or requests is None or not requests.timed:
        return None
    span = reqs.span_us(result.window, result.clock.to_realtime_ns(0))
    inside, begin_us = requests.within(span), requests.span(span)[0]
    at_us = inside.end_us if inside.exact else inside.start_us
    return Answered((at_us - begin_us) / 1e6, inside.latency_us / 1e3, result.window.length_s, inside.exact)


def detail(directory: Path) -> TrialDetail | None:
    """Return what the instruments saw over the window, None if the trial ended before it."""
    result = _read_result(directory)
    if result.window is None:
        return None
    evidence = Evidence(directory, result, result.window)
    return together(i.detail(evidence) for i in INSTRUMENTS)


def _client(s: _Sources) -> tuple[Figures, reqs.Seconds | None]:
    """Return the figures of the load, and the load second by second."""
    gave_up = None if s.served is None else int((s.served == _UNAVAILABLE).sum())
    if s.requests is None or s.inside is None:
        return Figures(gave_up_503=gave_up), None
    inside = s.inside
    if gave_up is None and inside.exact:
        gave_up = int((inside.status == _UNAVAILABLE).sum())
    unanswered = _unanswered(s)
    wrong = int(inside.failed.sum()) + reqs.failures_of_unknown(inside, s.served)
    answered = len(inside.status)
    if not inside.exact and s.served is not None:  # rows are placed to the second: the server counts better
        answered, wrong = len(s.served), int((~_succeeded(s.served)).sum())
    counts = Figures(
        requests=answered + unanswered,
        errors=wrong + unanswered,
        throughput_rps=(answered - wrong) / s.window.length_s,
        gave_up_503=gave_up,
    )
    seconds = reqs.by_second(s.requests, s.span_us, s.log)
    sent = reqs.sending(s.sendings, s.span_us)
    return merged((counts, _worst_second(seconds), _latencies(inside.latencies_us), sent)), seconds


def _waiting_beyond_p99(s: _Sources, figures: Figures, clients: int | None) -> int | None:
    """Return it for a closed loop; the server's log says when answers came where the driver does so to the second."""
    if clients is None or s.requests is None or figures.latency_p99_ms is None:
        return None
    at_us = s.requests.end_us if s.requests.exact else None if s.log is None else s.log.end_us
    if at_us is None:
        return None
    return reqs.waiting_beyond(at_us, s.span_us[1], clients, 1000 * figures.latency_p99_ms)


def _worst_second(seconds: reqs.Seconds) -> Figures:
    if not len(seconds.throughput_rps):
        return Figures()
    answered = not np.isnan(seconds.p99_ms).all()
    return Figures(
        worst_second_rps=float(seconds.throughput_rps.min()),
        worst_second_p99_ms=float(np.nanmax(seconds.p99_ms)) if answered else None,
    )


def _latencies(latency_us: Ints) -> Figures:
    if not len(latency_us):
        return Figures()
    return Figures(
        latency_mean_ms=float(latency_us.mean()) / 1000,
        latency_p50_ms=percentile_ms(latency_us, 0.5),
        latency_p90_ms=percentile_ms(latency_us, 0.9),
        latency_p99_ms=percentile_ms(latency_us, 0.99),
        latency_p999_ms=percentile_ms(latency_us, 0.999),
        latency_max_ms=float(latency_us.max()) / 1000,
    )


def _succeeded(statuses: Ints) -> Flags:
    return np.asarray(statuses < 400)  # noqa: PLR2004 -- the first status that is no success


def _unanswered(s: _Sources) -> int:
    """Return how many requests got no answer: the driver says so itself, unless it was ended at its time limit."""
    if s.load is not None:
        return s.load.unanswered
    if s.totals is not None:
        return s.totals.unanswered
    if s.driver is None or s.result.load is None or s.requests is None:
        return 0
    return s.driver.unanswered(s.result.load.argv, len(s.requests.status))


def _sources(directory: Path, result: Result) -> _Sources | None:
    if result.window is None:
        return None
    span = reqs.span_us(result.window, result.clock.to_realtime_ns(0))
    load = merging.merged(directory, result) if merging.applies(directory) else None
    driver = _driver(directory, result.load)
    requests = load.requests if load else reqs.read_requests(directory, driver) if driver else None
    log = reqs.read_access_log(directory, driver.path(result.load.argv) if driver and result.load else None)
    stdout = directory / "load/stdout.txt"
    return _Sources(
        result,
        result.window,
        span,
        driver,
        requests,
        None if requests is None else requests.within(span),
        load.sendings if load else reqs.read_sendings(directory, driver) if driver else None,
        log,
        None if log is None else reqs.answered(log, span),
        load.totals if load else driver.totals(read(stdout)) if driver and stdout.exists() else None,
        load,
    )


def _driver(directory: Path, load: DriverRun | None) -> Driver | None:
    return None if load is None else drivers.named(load.driver, str(directory / "result.json"))


def _read_result(directory: Path) -> Result:
    path = directory / "result.json"
    result = read_result(path)
    check_known(result.instruments, str(path))
    return result


def _read_trial(directory: Path) -> TrialFile:
    path = directory / "trial.json"
    return parse_trial(read(path), where=str(path))
