"""From an observation's files to its verdict: the only module that knows what it keeps beside a trial's files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.model import Status, TrialRecord
from cgidlab.parsers import documents
from cgidlab.parsers import observation as parsed
from cgidlab.runs import store
from cgidlab.verdict import Verdict, observation

KIND = "observation"
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
    result = documents.read_result(run.path / row.directory / "result.json")
    length_s = result.window.length_s if result.window else 0.0
    return observation.Seen(
        httpd=bool(target["httpd"]),
        length_s=length_s,
        events=tuple(
            f"{event['what']} at {_utc(result.clock.to_realtime_ns(int(event['at_ns'])))}" for event in target["events"]
        ),
        stopped=bool(target["stopped"]),
        unseen={name: i.reason for name, i in result.instruments.items() if i.state == "unavailable"},
        log_level=str(row.settings.get("log_level", "unknown")),
        log=str(target.get("error_log") or ""),
        reason=row.outcome.reason if row.outcome.status is not Status.COMPLETE else "",
    )


def _utc(realtime_ns: int) -> str:
    return f"{datetime.fromtimestamp(realtime_ns / 1e9, UTC):%H:%M:%S} UTC"
