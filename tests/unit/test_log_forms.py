"""Logs as people have them: each form gives the same counts, and whoever cannot be read is said to be unreadable."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cgidlab.parsers.error_log import ErrorLog, Window, parse_error_log
from tests.unit import log_forms

LOGS = Path(__file__).parent.parent / "data" / "logs"
TRUTH = json.loads((LOGS / "truth.json").read_text())


def parse(tmp_path: Path, data: bytes, window: Window | None = None) -> ErrorLog:
    path = tmp_path / "log"
    path.write_bytes(data)
    return parse_error_log(path, window)


def found(log: ErrorLog) -> dict[str, int]:
    return {name: n for name, n in log.messages.items() if n}


@pytest.mark.parametrize("name", TRUTH)
def test_every_log_gives_what_a_reader_would_count(name: str) -> None:
    log = parse_error_log(LOGS / name)

    truth = dict(TRUTH[name]["truth"])
    assert sum(log.queue_full.values()) == truth.pop("unix_listener_full", 0)
    refused = truth.pop("retries_refused", None)
    assert refused is None or log.refused_retries == refused
    for key in [key for key in truth if key.startswith("errno_of_")]:
        errors = Counter[str]()
        for error, n in log.by_errno[key.removeprefix("errno_of_")].items():
            errors[error.number.decode()] += n
        assert errors == truth.pop(key)
    assert {name: n for name, n in found(log).items() if name != "AH01220"} == truth
    assert log.recognised


@pytest.mark.parametrize("form", log_forms.TIMED)
def test_a_wrapping_changes_neither_the_counts_nor_the_times(tmp_path: Path, form: str) -> None:
    second_ns = 10**9
    window = Window((log_forms.FIRST_S + 1) * second_ns, (log_forms.FIRST_S + 3) * second_ns)

    log = parse(tmp_path, log_forms.TIMED[form], window)

    assert found(log) == log_forms.MESSAGES
    assert (log.before.total, log.inside.total, log.after.total) == (1, 1, 0)
    assert {name: n for name, n in log.messages_inside.items() if n} == {"AH01256": 1, "AH01257": 1}
    assert log.refused_retries == 2
    assert {e.name: n for e, n in log.by_errno["AH01257"].items()} == {"ECONNREFUSED": 1}
    assert {e.name: n for e, n in log.by_errno["AH02833"].items()} == {"ENOENT": 1}
    assert log.recognised
    assert log.untimed == 0


@pytest.mark.parametrize("form", log_forms.WITHOUT_TIME)
def test_lines_without_a_time_are_counted_and_in_no_part_of_a_window(tmp_path: Path, form: str) -> None:
    log = parse(tmp_path, log_forms.WITHOUT_TIME[form])
    cut = parse(tmp_path, log_forms.WITHOUT_TIME[form], Window(0, 10**18))

    assert found(log) == found(cut) == log_forms.MESSAGES
    assert (log.inside.total, log.untimed) == (2, 0)
    assert (cut.before.total, cut.inside.total, cut.after.total, cut.untimed) == (0, 0, 0, 4)
    assert log.recognised
