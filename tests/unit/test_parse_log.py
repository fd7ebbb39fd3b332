"""`parse-log`: a log from anywhere, packed or not, counted for people and for programs."""

import argparse
import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cgidlab.commands import parse_log
from cgidlab.errors import LabError, SpecError

DATA = Path(__file__).parent.parent / "data" / "error_log"
LOGS = DATA.parent / "logs"
DEAD = DATA / "dead_daemon.own.log"


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    parse_log.register(parser.add_subparsers())
    args = parser.parse_args(["parse-log", *map(str, words)])
    return int(args.run(args))


def as_json(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    capsys.readouterr()
    assert run(*words, "--format", "json") == 0
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def pack(path: Path, kind: str) -> Path:
    packed = path.with_suffix(f".{kind}")
    if kind in PACKERS:
        packed.write_bytes(PACKERS[kind](path.read_bytes()))
    else:
        subprocess.run(["zstd", "-q", str(path), "-o", str(packed)], check=True)
    return packed


KINDS = [
    *PACKERS,
    pytest.param("zst", marks=pytest.mark.skipif(shutil.which("zstd") is None, reason="no program zstd here")),
]


def test_without_a_window_everything_is_inside(capsys: pytest.CaptureFixture[str]) -> None:
    value = as_json(capsys, DEAD)

    n = DEAD.read_text().count("AH01256")
    assert value["schema_version"] == 1
    none = {"111": 0, "2": 0, "other": 0}
    assert value["retries"] == {"before": none, "inside": none | {"111": n}, "after": none}
    assert value["messages"]["AH01256"] == n
    assert (value["lines"], value["unreadable_lines"]) == (len(DEAD.read_text().splitlines()), 0)


@pytest.mark.parametrize(
    ("begin", "end", "zone"),
    [
        ("2026-11-23T15:26:50", "2026-11-23T15:26:50.4", "UTC"),
        ("2026-11-23T15:26:50Z", "2026-11-23T16:26:50.4+01:00", "UTC"),
        ("1795447610", "1795447610.4", "UTC"),
        ("2026-11-23T10:26:50-05:00", "1795447610.4", "UTC"),
    ],
    ids=["naive", "zoned", "seconds", "mixed"],
)
def test_a_window_is_given_in_seconds_or_in_words(
    capsys: pytest.CaptureFixture[str], begin: str, end: str, zone: str
) -> None:
    value = as_json(capsys, DEAD, "--from", begin, "--to", end, "--tz", zone)

    retries = [line[1:27] for line in DEAD.read_text().splitlines() if "AH01256" in line]
    want = sum("2026-11-23 15:26:50" <= t < "2026-11-23 15:26:50.4" for t in retries)
    assert 0 < want < len(retries)
    assert value["retries"]["inside"]["111"] == want
    assert value["retries"]["before"]["111"] == sum(t < "2026-11-23 15:26:50" for t in retries)
    assert value["retries"]["after"]["111"] == sum(t >= "2026-11-23 15:26:50.4" for t in retries)


def test_the_zone_is_that_of_the_log_and_of_times_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    utc = as_json(capsys, DEAD, "--from", "2026-11-23T15:26:50.2")
    tokyo = as_json(capsys, DEAD, "--from", "2026-11-23T15:26:50.2", "--tz", "Asia/Tokyo")
    shifted = as_json(capsys, DEAD, "--from", "2026-11-23T06:26:50.2Z", "--tz", "Asia/Tokyo")

    assert utc == tokyo == shifted
    assert utc["retries"]["before"]["111"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_log_counts_like_the_plain_one(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "error_log"
    path.write_bytes(DEAD.read_bytes() * 500)  # more than one buffer

    assert as_json(capsys, pack(path, kind)) == as_json(capsys, path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_log_that_was_cut_is_an_error_and_not_a_smaller_count(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "error_log"
    path.write_bytes(DEAD.read_bytes() * 500)
    packed = pack(path, kind)
    packed.write_bytes(packed.read_bytes()[:-20])

    with pytest.raises(LabError, match="damaged or cut") as caught:
        run(packed)
    assert caught.value.where == str(packed)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python unpacks Zstandard itself")
def test_without_an_unpacker_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "error_log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"rest")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LabError, match="install the package zstd"):
        run(path)


def text_of(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    capsys.readouterr()
    assert run(*words) == 0
    return capsys.readouterr().out.splitlines()


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "error_log"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_a_rotated_set_is_read_in_order_of_time_whatever_its_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = DEAD.read_text().splitlines(keepends=True)
    parts = [lines[:20], lines[20:35], lines[35:]]
    first = tmp_path / "error_log.2.gz"
    first.write_bytes(gzip.compress("".join(parts[0]).encode()))
    second = tmp_path / "error_log.1.bz2"
    second.write_bytes(bz2.compress("".join(parts[1]).encode()))
    last = tmp_path / "error_log"
    last.write_text("".join(parts[2]))
    (tmp_path / "access_log").write_text('127.0.0.1 - - [23/Nov/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 6\n')
    want = as_json(capsys, DEAD)

    assert as_json(capsys, last, first, second) == want
    assert as_json(capsys, tmp_path) == want


@pytest.mark.parametrize("words", [["-"], []], ids=["a dash", "no name"])
@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_standard_input_is_a_log_too_packed_or_not(tmp_path: Path, words: list[str], kind: str) -> None:
    path = tmp_path / "error_log"
    path.write_bytes(DEAD.read_bytes() * 500)
    data = path.read_bytes() if kind == "plain" else pack(path, kind).read_bytes()
    runner = str(Path(__file__).parents[2] / "runner.py")

    ran = subprocess.run(
        [sys.executable, runner, "parse-log", *words, "--format", "json"], input=data, capture_output=True, check=True
    )

    assert json.loads(ran.stdout)["messages"]["AH01256"] == DEAD.read_text().count("AH01256") * 500


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"2026-05-20 10:00:00 INFO main: done\n" * 3, "2026-05-20 10:00:00 INFO main: done"),
        (b'127.0.0.1 - - [23/Nov/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 6\n', '"GET / HTTP/1.1"'),
        (b"May 20 10:00:00 web1 sshd[12]: session opened\n", "none of a known kind"),
        (bytes(3_000_000), "zeros"),
        (bytes(range(256)) * 20, "none of a known kind"),
    ],
    ids=["a program's log", "an access_log", "another program's syslog", "zeros", "binary"],
)
def test_what_is_no_error_log_is_said_with_an_example_and_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, shown: str
) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)

    assert run(path) == 1
    said = capsys.readouterr().out
    assert "this is no error log that I can read" in said
    assert shown in said
    assert run(path, "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["recognised"] is False


def test_one_file_of_two_that_cannot_be_read_is_named_and_the_other_is_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, "no log at all")

    assert run(DEAD, path) == 1
    said = capsys.readouterr().out
    assert f"{path}: this is no error log that I can read" in said
    assert "AH01258" in said


def test_a_log_of_two_kinds_says_how_many_lines_are_of_which(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = "[Wed May 20 10:00:00.123456 2026] [core:notice] [pid 1:tid 2] AH00094: Command line: 'httpd'"
    path = written(tmp_path, good, "words of a script", "May 20 10:00:00 web1 sshd[12]: session opened", good)

    said = text_of(capsys, path)[0]

    assert said.startswith("4 lines: 2 httpd's own form, 1 not understood, 1 other programs.")
    assert "words of a script" in said
    assert as_json(capsys, path)["unreadable_lines"] == 2


def test_an_empty_log_is_called_empty(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "empty" in text_of(capsys, written(tmp_path))[0]


@pytest.mark.parametrize("name", sorted(p.name for p in LOGS.glob("*.*") if p.suffix != ".json"))
def test_the_words_are_at_most_ten_lines_and_end_with_what_to_do(capsys: pytest.CaptureFixture[str], name: str) -> None:
    said = text_of(capsys, LOGS / name)

    assert 3 <= len(said) <= 10
    assert said[-1].startswith("Next: ")


def test_every_cause_of_a_503_has_its_own_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = "[Wed May 20 10:00:00.123456 2026] [cgid:error] [pid 1:tid 2] {}: [client 192.0.2.7:5] AH01257: unable: /x"
    said = {
        error: text_of(capsys, written(tmp_path, line.format(error)))
        for error in (
            "(13)Permission denied",
            "(22)Invalid argument",
            "(2)No such file or directory",
            "(111)Connection refused",
            "(61)Connection refused",
            "(11)Resource temporarily unavailable",
            "(4)Interrupted system call",
        )
    }

    assert len({tuple(lines[3:]) for lines in said.values()}) == len(said)
    assert any("permissions of the script play no part" in line for line in said["(13)Permission denied"])
    assert any("proves 14 retries" in line for line in said["(111)Connection refused"])
    assert any("FreeBSD" in line for line in said["(61)Connection refused"])


@pytest.mark.parametrize(("lines", "want"), [(1, "1 script was too slow"), (2, "2 scripts were too slow")])
def test_scripts_that_were_too_slow_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lines: int, want: str
) -> None:
    late = (
        "[Fri Nov 20 13:45:08.123456 2026] [cgid:warn] [pid 7:tid 8] [client 192.0.2.7:5] "
        "AH01220: Timeout waiting for output from CGI script /a.cgi"
    )

    assert want in " ".join(text_of(capsys, written(tmp_path, *[late] * lines)))


def test_retries_that_lie_around_a_restart_are_said_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    retry = (
        "[Wed May 20 10:{}.5 2026] [cgid:debug] [pid 1:tid 2] mod_cgid.c(1): (2)No such file or directory: "
        "[client 192.0.2.7:5] AH01256: connect #1 to cgi daemon failed, sleeping before retry"
    ).replace(".5", ".500000")
    reload = (
        "[Wed May 20 10:00:01.000000 2026] [mpm_event:notice] [pid 1:tid 1] AH00493: SIGUSR1 received.  "
        "Doing graceful restart"
    )
    near = [reload, retry.format("00:01"), retry.format("00:02"), retry.format("00:03")]

    all_near = text_of(capsys, written(tmp_path, *near))
    one_far = text_of(capsys, written(tmp_path, *near, retry.format("30:00")))

    assert any(
        line.startswith("All 3 retries with ENOENT lie within 2 s of a graceful restart: the socket was gone")
        for line in all_near
    )
    assert any(line.startswith("3 of 4 retries with ENOENT lie within 40 s of a restart") for line in one_far)
    events = as_json(capsys, tmp_path / "error_log")["events"]
    assert {"time": "2026-05-20T10:00:00", "kind": "graceful_restart", "count": 1} in events
    assert {"time": "2026-05-20T10:00:00", "kind": "retry_missing", "count": 3} in events


def test_json_says_the_error_of_every_message(capsys: pytest.CaptureFixture[str]) -> None:
    value = as_json(capsys, LOGS / "03-ah01257-errnos.log")

    assert value["by_errno"]["AH01257"] == {"13": 1, "11": 1, "22": 1, "2": 1, "111": 1, "4": 1}
    assert value["errno_names"]["13"] == "EACCES"
    assert (value["recognised"], value["refused_retries"], value["unix_queue_full"]) == (True, 0, 0)
    assert as_json(capsys, LOGS / "27-freebsd.log")["refused_retries"] == 2
    assert as_json(capsys, LOGS / "31-nginx.log")["unix_queue_full"] == 4


def test_a_file_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No such file") as caught:
        run(tmp_path / "none")
    assert caught.value.where == str(tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--from", "yesterday"], "--from"),
        (["--to", "nan"], "--to"),
        (["--to", "1e999999"], "--to"),
        (["--tz", "Mars/Olympus"], "--tz"),
        (["--tz", "../../etc/passwd"], "--tz"),
        (["--from", "20", "--to", "10"], "--from, --to"),
    ],
    ids=["word", "nan", "larger than any number", "zone", "path", "order"],
)
def test_a_wrong_option_is_an_error_of_the_command_line(words: list[str], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        run(DEAD, *words)
    assert (caught.value.where, caught.value.exit_code) == (where, 2)
    assert caught.value.fix


def test_the_text_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    run(DEAD, "--from", "2026-11-23T15:26:50")

    text = capsys.readouterr().out
    assert "AH01258" in text
    assert "ECONNREFUSED" in text
    assert "before" in text


def test_the_text_does_not_let_silence_pass_for_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    run(DATA / "overflow.own.log")

    assert "no evidence against a full queue" in capsys.readouterr().out
