"""What the driver and the server say about requests: rows, and the access_log beside them."""

import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cgidlab import files
from cgidlab.arrays import Floats, Ints
from cgidlab.drivers.base import FAILED, UNKNOWN, Driver, Requests, Sendings
from cgidlab.errors import StoreError
from cgidlab.instruments.gauges import percentile_ms
from cgidlab.model import Figures
from cgidlab.parsers import access_log
from cgidlab.parsers.access_log import AccessLog
from cgidlab.parsers.documents import Span

ROWS, PARQUET = "load/rows.log", "load/requests.parquet"
_NO_PATH = "*"  # of OPTIONS


def read_requests(directory: Path, driver: Driver) -> Requests | None:
    """Return a trial's requests; None without the driver's log.

    The column file is for others: it may come from a stranger, and unpacks to thousands of times its size.
    """
    path = directory / ROWS
    return driver.requests(path) if path.exists() else None


def read_sendings(directory: Path, driver: Driver) -> Sendings | None:
    """Return when a trial's requests were due and sent; None without a log of that."""
    path = directory / ROWS
    return driver.sendings(path) if path.exists() else None


def sending(sendings: Sendings | None, span_us: tuple[int, int]) -> Figures:
    """Return what a schedule asked for in a span and what was sent; nothing where the driver kept none."""
    if sendings is None:
        return Figures()
    length_s = (span_us[1] - span_us[0]) / 1_000_000
    due = sendings.within(span_us)
    sent_us = sendings.due_us + sendings.lag_us
    sent = int(((sent_us >= span_us[0]) & (sent_us < span_us[1])).sum())
    known = len(due.lag_us) > 0
    return Figures(
        offered_rps=len(due.due_us) / length_s,
        sent_rps=sent / length_s,
        send_lag_p99_ms=percentile_ms(due.lag_us, 0.99) if known else None,
        send_lag_max_ms=float(due.lag_us.max()) / 1000 if known else None,
    )


def write_rows(directory: Path, driver: Driver) -> Path:
    """Write `load/requests.parquet` from `load/rows.log` and return its path; see `files` for how.

    Columns: start_us int64 (since 1970), status int16 (0: not known), latency_us int64.
    """
    import polars as pl  # noqa: PLC0415 -- dear to import, and most callers only read

    raw = directory / ROWS
    if not raw.exists():
        raise StoreError("the driver's rows are missing", where=str(raw))
    (directory / PARQUET).unlink(missing_ok=True)
    requests = read_requests(directory, driver)
    if requests is None:
        raise StoreError("the driver's rows are missing", where=str(raw))
    frame = pl.DataFrame(
        {
            "start_us": requests.start_us,
            "status": requests.status.astype(np.int16),
            "latency_us": requests.latency_us,
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    files.write_bytes(directory / PARQUET, buffer.getvalue())
    return directory / PARQUET


def read_access_log(directory: Path, path_asked: str | None) -> AccessLog | None:
    """Return what the server logged of the load, None without the file.

    Requests of other paths, such as the server's status page, are left out. Where it is not one path that the load
    asked for, those that ask for none are: workers are held by them (`cgidhost.interventions.held_workers`).
    """
    path = directory / "logs/access_log"
    if not path.exists():
        return None
    log = access_log.read_access_log(path)
    own = ~log.of_path(_NO_PATH) if path_asked is None else log.of_path(path_asked)
    return AccessLog(
        log.bad_lines,
        log.paths,
        log.path_index[own],
        *(c[own] for c in (log.begin_us, log.end_us, log.status, log.size_bytes)),
    )


def answered(log: AccessLog, span_us: tuple[int, int]) -> Ints:
    """Return the statuses of what the server finished in a span."""
    return log.status[(log.end_us >= span_us[0]) & (log.end_us < span_us[1])]


def waiting_beyond(answered_us: Ints, end_us: int, clients: int, beyond_us: float) -> int:
    """Return how many of a closed loop's clients had surely waited longer than `beyond_us` when a window ended.

    Each has one request under way then. Whose request is younger was answered meanwhile, so that there are no more of
    them than answers. It is the least number: one client may have had several.
    """
    younger = int(((answered_us > end_us - beyond_us) & (answered_us <= end_us)).sum())
    return max(0, clients - younger)


def failures_of_unknown(requests: Requests, served: Ints | None) -> int:
    """Return how many requests of unknown status failed: those the server counts beyond the known ones."""
    unknown = int((requests.status == UNKNOWN).sum())
    if served is None or not unknown:
        return 0
    return min(unknown, max(0, int((served >= FAILED).sum()) - int(requests.failed.sum())))


@dataclass(frozen=True, slots=True)
class Seconds:
    """Requests second by second of the window; a last part of a second is left out."""

    throughput_rps: Floats  # successful answers
    p99_ms: Floats  # NaN in a second without an answer, or where latencies are not known


def by_second(requests: Requests, span_us: tuple[int, int], log: AccessLog | None = None) -> Seconds:
    """Return throughput and p99 of each whole second of a span.

    Where the driver places no request exactly, the server's log says which answers were successful.
    """
    begin, end = requests.span(span_us)
    count = (end - begin) // 1_000_000
    at = (requests.end_us if requests.exact else requests.start_us) - begin
    second = at // 1_000_000
    inside = (at >= 0) & (second < count)
    order = np.argsort(second[inside], kind="stable")
    latency, bounds = requests.latency_us[inside][order], np.searchsorted(second[inside][order], np.arange(count + 1))
    if requests.exact or log is None:
        succeeded = second[inside & ~requests.failed]
    else:
        served = (log.end_us - begin) // 1_000_000
        succeeded = served[(served >= 0) & (served < count) & (log.status < FAILED)]
    throughput = np.bincount(succeeded, minlength=count).astype(np.float64)
    timed = requests.timed
    p99 = [percentile_ms(latency[a:b], 0.99) if timed and b > a else np.nan for a, b in pairwise(bounds)]
    return Seconds(throughput, np.array(p99, np.float64))


def span_us(window: Span, to_realtime_ns: int) -> tuple[int, int]:
    """Return a window in microseconds since 1970, given what to add to the monotonic clock."""
    return (window.begin_ns + to_realtime_ns) // 1000, (window.end_ns + to_realtime_ns) // 1000
