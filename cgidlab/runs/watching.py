"""From an observation's files to its verdict: the only module that knows what it keeps beside a trial's files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cgidlab.model import Status, TrialRecord
from cgidlab.parsers import documents
from cgidlab.parsers import observation as parsed
from cgidlab.runs import store
from cgidlab.verdict import Verdict, observation

KIND = "observation"
OBSERVED_FILE = "observed.json"  # in a trial's directory: what the host said of the target


def is_observation(run: store.RunDirectory) -> bool:
    """Say whether a run watched a server instead of making trials."""
    return bool(run.read("plan.json")["kind"] == KIND)


def socket_verdicts(
    run: store.RunDirectory, rows: Sequence[TrialRecord]
) -> tuple[tuple[TrialRecord, Mapping[str, Any], observation.SocketVerdict], ...]:
    """Return every watched socket with what the host said of it and the verdict on it."""
    found = []
    for row in rows:
        target = parsed.TARGET.read_raw(run.path / row.directory / OBSERVED_FILE)
        found.append((row, target, observation.judge_socket(row, _seen(run, row, target))))
    return tuple(found)


def verdict(run: store.RunDirectory, rows: Sequence[TrialRecord]) -> Verdict:
    """Return the verdict on a whole observation."""
    judged = [(dict(row.levels)["socket"], v) for row, _, v in socket_verdicts(run, rows)]
    return observation.judge_all(judged, tuple(run.read("observation.json")["notes"]))


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
