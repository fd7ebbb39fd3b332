"""What an observation is worth to a script and to Nagios."""

from dataclasses import replace
from typing import Any

import pytest

from cgidlab.cli import main
from cgidlab.commands import alarms
from cgidlab.commands.alarms import CRITICAL, OK, SEEN, UNKNOWN, WARNING, Socket

GOOD = Socket(
    "/run/a.sock", overflow=False, turned_away=0, refused=0, depth_max=1, limit=5, full_share=0.0, nobody=False
)
FULL = replace(GOOD, overflow=True, depth_max=6, full_share=0.36)
AWAY = replace(FULL, turned_away=135_779)
DEAD = replace(GOOD, refused=12)
IDLE = replace(GOOD, overflow=None, depth_max=0, nobody=True)
BLIND = Socket("/run/b.sock", None, None, None, None, None, None, nobody=False)


@pytest.mark.parametrize(
    ("sockets", "wanted", "want"),
    [
        ([GOOD, IDLE], ("full", "refused"), 0),
        ([GOOD, FULL], ("full",), SEEN),
        ([FULL], ("refused",), 0),
        ([FULL], ("turned-away",), 0),
        ([AWAY], ("turned-away",), SEEN),
        ([DEAD], ("full", "refused"), SEEN),
        ([AWAY, DEAD], (), 0),
    ],
)
def test_the_exit_status_is_of_the_conditions_that_were_named(
    sockets: list[Socket], wanted: tuple[str, ...], want: int
) -> None:
    assert alarms.status(sockets, wanted) == want


@pytest.mark.parametrize(
    ("sockets", "want", "text"),
    [
        ([GOOD], OK, "OBSERVE OK - /run/a.sock: at most 1 of 5 waited | "),
        ([IDLE], OK, "/run/a.sock: nobody came"),
        (
            [GOOD, AWAY],
            CRITICAL,
            "CRITICAL - /run/a.sock: the queue overflowed, full for 36 %, 135,779 connects",
        ),
        ([DEAD], CRITICAL, "12 connects refused"),
        ([replace(GOOD, turned_away=3, overflow=False)], WARNING, "3 connects turned away"),
        ([replace(AWAY, counted=False)], CRITICAL, "full for 36 %, at least 135,779 connects turned away"),
        ([replace(GOOD, depth_max=4)], WARNING, "at most 4 of 5 waited"),
        ([GOOD, BLIND], UNKNOWN, "UNKNOWN - /run/b.sock: its queue could not be seen"),
        ([AWAY, BLIND], CRITICAL, "CRITICAL - /run/a.sock"),
        ([], UNKNOWN, "nothing was observed"),
    ],
)
def test_nagios_has_its_four_states(sockets: list[Socket], want: int, text: str) -> None:
    state, line = alarms.nagios(sockets, alarms.USUAL)

    assert state == want
    assert text in line
    assert "\n" not in line


def test_performance_data_has_one_separator_and_no_wrong_character() -> None:
    _, line = alarms.nagios([replace(AWAY, label="it's a=b|c")], alarms.USUAL)

    text, data = line.split(" | ")
    assert "|" not in text
    assert data.startswith("'its a_b/c depth'=6;;;0;6 'its a_b/c full'=36.0%;;;0;100 ")
    assert data.endswith(" 'its a_b/c turned away'=135779;;;0 'its a_b/c refused'=0;;;0")


def test_a_sockets_name_cannot_write_lines_of_its_own_for_nagios() -> None:
    _, line = alarms.nagios([replace(AWAY, label="/srv/a\nOBSERVE OK - all fine | 'x'=1\x1b[2J")], alarms.USUAL)

    assert len(line.splitlines()) == 1
    assert line.count(" | ") == 1
    assert all(c.isprintable() for c in line)


def test_a_row_of_all_is_full_where_it_kept_somebody_out() -> None:
    row: dict[str, Any] = {
        "path": "/s", "turned_away": 0, "refused": 0, "depth_max": 6, "limit": 5, "full_share": 0.2, "sleeping_max": 0,
        "connects": 9,
    }  # fmt: skip

    assert alarms.of_listener(row).overflow is False
    assert alarms.of_listener({**row, "turned_away": 1}).overflow is True
    assert alarms.of_listener({**row, "sleeping_max": 1}).overflow is True
    unseen = dict.fromkeys(("turned_away", "refused", "sleeping_max", "connects"))
    assert alarms.of_listener({**row, **unseen}).overflow is True


def test_a_condition_that_is_none_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", "--fail-on", "full,empty"]) == 2
    assert "`empty` is no condition" in capsys.readouterr().err


def test_what_fails_is_unknown_to_nagios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", "--nagios", "--socket", "relative"]) == UNKNOWN
    assert capsys.readouterr().out.startswith("OBSERVE UNKNOWN - `relative` is not an absolute path")
