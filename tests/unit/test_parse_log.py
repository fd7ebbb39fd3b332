"""`parse-log`: a log from anywhere, packed or not, counted for people and for programs."""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cgidlab.commands import parse_log
from cgidlab.errors import LabError, SpecError

DATA = Path(__file__).parent.parent / "data" / "error_log"
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


def pack(path: Path, kind: str) -> Path:
    packed = path.with_suffix(f".{kind}")
    if kind == "gz":
        packed.write_bytes(gzip.compress(path.read_bytes()))
    else:
        subprocess.run(["zstd", "-q", str(path), "-o", str(packed)], check=True)
    return packed


KINDS = [
    "gz",
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


def test_a_file_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No such file") as caught:
        run(tmp_path / "none")
    assert caught.value.where == str(tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--from", "yesterday"], "--from"),
        (["--to", "nan"], "--to"),
        (["--tz", "Mars/Olympus"], "--tz"),
        (["--tz", "../../etc/passwd"], "--tz"),
        (["--from", "20", "--to", "10"], "--from, --to"),
    ],
    ids=["word", "nan", "zone", "path", "order"],
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
