"""The table of `observe --all`, and what it makes of a host's rows."""

from typing import Any

import pytest

from cgidlab.cli import main
from cgidlab.commands.listeners import table
from cgidlab.parsers.listeners import TOLD, WAITS_S, Listener, listener


def row(path: str = "/run/a.sock", **changes: Any) -> Listener:  # noqa: ANN401 -- fields of a row
    raw: dict[str, Any] = {
        "path": path,
        "network": "net:[1]",
        "program": "php-fpm8.2",
        "pid": 12,
        "limit": 5,
        "depth": 0,
        "depth_max": 2,
        "depth_mean": 0.5,
        "full_s": 0.0,
        "length_s": 10.0,
        "there": True,
        "connects": 100,
        "turned_away": 0,
        "refused": 0,
        "failed_other": 0,
        "sleeping": 0,
        "sleeping_max": 0,
        **changes,
    }
    return listener(TOLD.parse(raw), "h1")


def test_the_time_in_the_queue_is_the_mean_depth_by_those_who_found_a_place() -> None:
    assert row(connects=1000, turned_away=500, refused=250).queue_wait_ms == pytest.approx(20.0)  # 0.5 x 10 s / 250
    assert row(connects=5, turned_away=5).queue_wait_ms is None
    assert row(connects=None, turned_away=None, refused=None, failed_other=None).queue_wait_ms is None


def test_measured_times_in_the_queue_are_used_where_they_are_known() -> None:
    waited = [0] * len(WAITS_S) + [0]
    waited[4], waited[6] = 98, 2

    measured = row(connects=1000, waited=waited, waited_ns=700_000_000)

    assert (measured.queue_wait_ms, measured.queue_wait_p99_ms, measured.wait_measured) == (7.0, 25.0, True)
    assert "7.0 ms  <= 25 ms" in table([measured])
    assert "~" not in table([measured])


def test_a_wait_above_the_last_bucket_has_no_upper_end() -> None:
    endless = row(waited=[0] * len(WAITS_S) + [3], waited_ns=60_000_000_000)

    assert endless.document()["queue_wait_p99_ms"] is None
    assert "> 10,000 ms" in table([endless])


@pytest.mark.parametrize(
    "changes",
    [
        {"depth_mean": 1e308, "length_s": 1e308},
        {"length_s": -1.0},
        {"full_s": True},
        {"limit": "9" * 400},
        {"depth_max": "9" * 400},
        {"turned_away": "9" * 400},
        {"sleeping_max": 10**30},
        {"waited": [1] * (len(WAITS_S) + 1), "waited_ns": 1e300},
    ],
)
def test_a_number_that_nothing_can_have_counted_is_no_row(changes: dict[str, Any]) -> None:
    """A text of 400 digits was one of them once, and ended `observe --all` where rows are sorted."""
    with pytest.raises(ValueError, match=r"^\w+ (is|has) "):
        row(**changes)


def test_a_path_with_a_new_line_makes_no_line_of_the_table() -> None:
    lines = table([row("/run/a\n\x1b[1mroot  5  0.sock")]).splitlines()

    assert len(lines) == 2
    assert lines[1].endswith("/run/a��[1mroot  5  0.sock")


def test_the_worst_is_first() -> None:
    rows = [
        row("/quiet"),
        row("/nearly", depth_max=5),
        row("/full", depth_max=6, full_s=4.0),
        row("/refused", refused=3),
        row("/away", turned_away=7),
    ]

    lines = table(rows).splitlines()

    assert [line.split()[-1] for line in lines[1:]] == ["/away", "/refused", "/full", "/nearly", "/quiet"]
    assert table(rows, most=2).splitlines()[-1] == "and 3 more"


def test_a_line_says_who_and_where_and_what_is_not_known() -> None:
    unknown = dict.fromkeys(("connects", "turned_away", "refused", "failed_other", "sleeping", "sleeping_max"))
    rows = [row(), row("/b"), row("@abstract", network="net:[2]", program="", pid=None, there=False, **unknown)]

    text = table(rows)

    assert "php-fpm8.2 12" in text
    assert "~50.0 ms" in text  # 0.5 x 10 s / 100
    assert "@abstract in net:[2] (gone)" in text
    assert text.count("?") == 5  # who, turned away, refused, asleep, connects


@pytest.mark.parametrize(
    "words",
    [["--socket", "/s"], ["--until-full"], ["--error-log", "/e"], ["--status-url", "http://127.0.0.1/"]],
    ids=lambda words: str(words[0]),
)
def test_what_is_about_one_socket_is_refused_with_all(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", "--all", *words]) == 2
    assert f"{words[0]} is about sockets that are named" in capsys.readouterr().err
