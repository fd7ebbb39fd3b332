"""From an observation's files to its verdict."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.model import Status, TrialRecord
from cgidlab.parsers import documents
from cgidlab.parsers import observation as parsed
from cgidlab.runs import store
from cgidlab.verdict import Verdict, observation, observed

KIND = "observation"
_EDGES = ("begin", "end")
OBSERVED_FILE = "observed.json"  # in a trial's directory: what the host said of the target


def is_observation(run: store.RunDirectory) -> bool:
    """Say whether a run watched a server instead of making trials; where the plan is damaged, by what else it keeps."""
    try:
        return bool(run.read("plan.json")["kind"] == KIND)
    except StoreError:
        return rundir.is_there(run.path / "observation.json")


def socket_verdicts(
    run: store.RunDirectory, rows: Sequence[TrialRecord]
) -> tuple[tuple[tuple[TrialRecord, Mapping[str, Any], observation.SocketVerdict], ...], tuple[store.Damage, ...]]:
    """Return every watched socket with what the host said of it and the verdict on it, and what cannot be read."""
    found, damaged = [], []
    for row in rows:
        try:
            target = parsed.TARGET.read_raw(run.path / row.directory / OBSERVED_FILE)
            found.append((row, target, observation.judge_socket(row, _seen(run, row, target))))
        except StoreError as err:
            damaged.append(run.damage(err))
    return tuple(found), tuple(damaged)


def verdict(
    run: store.RunDirectory, rows: Sequence[TrialRecord]
) -> tuple[Verdict, tuple[TrialRecord, ...], tuple[store.Damage, ...]]:
    """Return the verdict on a whole observation, the sockets it is of, and what is left out of it."""
    seen, damaged = socket_verdicts(run, rows)
    judged = [(dict(row.levels).get("socket", ""), v) for row, _, v in seen]
    try:
        notes = tuple(run.read("observation.json")["notes"])
    except StoreError as err:
        notes, damaged = (), (*damaged, run.damage(err))
    return observation.judge_all(judged, notes), tuple(row for row, _, _ in seen), damaged


def _seen(run: store.RunDirectory, row: TrialRecord, target: Mapping[str, Any]) -> observation.Seen:
    result = _result(run, row)
    window = result.window
    about, acceptors = target["about"], target.get("acceptors") or {}
    return observation.Seen(
        httpd=bool(target["httpd"]),
        length_s=window.length_s if window else 0.0,
        events=tuple(
            f"{event['what']} at {result.clock.to_utc(int(event['at_ns'])):%H:%M:%S} UTC" for event in target["events"]
        ),
        stopped=bool(target["stopped"]),
        unseen={name: i.reason for name, i in result.instruments.items() if i.state == "unavailable"},
        log_level=str(row.settings.get("log_level", "unknown")),
        log=str(target.get("error_log") or ""),
        reason=row.outcome.reason if row.outcome.status is not Status.COMPLETE else "",
        span=_span(result),
        process=str(about.get("process") or ""),
        path=str(target["socket"]),
        acceptors=acceptors.get("processes"),
        acceptors_cpu=acceptors.get("cpu_cores"),
        acceptors_runq=acceptors.get("runq_cores"),
        somaxconn=about.get("somaxconn"),
    )


def queue_wait_ms(run: store.RunDirectory, row: TrialRecord) -> float | None:
    """Return how long a connection waited in the queue on average: an estimate by Little's law; None without one."""
    window = _result(run, row).window
    return None if window is None else observed.queue_wait_ms(row, window.length_s)


def begin_and_end(run: store.RunDirectory, row: TrialRecord) -> dict[str, str | None]:
    """Return when a socket's window began and ended, in UTC as ISO 8601 has it; None without a window."""
    edges = _edges(_result(run, row)) or (None, None)
    return {k: None if at is None else parsed.moment(at) for k, at in zip(_EDGES, edges, strict=True)}


def _result(run: store.RunDirectory, row: TrialRecord) -> documents.Result:
    return documents.read_result(run.path / row.directory / "result.json")


def _edges(result: documents.Result) -> tuple[datetime, datetime] | None:
    if result.window is None:
        return None
    return result.clock.to_utc(result.window.begin_ns), result.clock.to_utc(result.window.end_ns)


def _span(result: documents.Result) -> str:
    edges = _edges(result)
    return "" if edges is None else parsed.span(*edges)
