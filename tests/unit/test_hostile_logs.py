"""Logs and archives that a host made to hurt: read in bounded memory, counted, and shown without what they ask for."""

import csv
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from cgidlab import cli
from cgidlab.engine import blocks
from cgidlab.engine.arrivals import Arrival
from cgidlab.engine.execute import Site
from cgidlab.engine.halting import StopRule
from cgidlab.engine.handing import BlockCalls
from cgidlab.engine.loading import Loaded
from cgidlab.errors import StoreError
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import harvest, store
from cgidlab.runs.concluding import conclude
from tests.unit.run_directories import CATALOGUE, ROOT, archive, keep, planned

_MB = 1 << 20
# 1 GB takes a second or two to read, 10 GB half a minute: `make fuzz` asks for those.
_LINE_MB = int(os.environ.get("CGIDLAB_LINE_MB", "1000"))
_BOUND_MB = 96  # of memory beside what the program has when it begins
_RETRY = (
    b"[2026-11-23 15:26:50.000123] [cgid:debug] [pid 7:tid 9] mod_cgid.c(1234): (111)Connection refused: "
    b"[client 127.0.0.1:5] AH01256: connect #1 to cgi daemon failed, sleeping before retry\n"
)
_ANSWER = b"1795447610000000 1795447610000100 200 6 /cgi-bin/hello\n"
_ROW = b"1795447610000000\t200\t100\n"
_READ = """
import json, resource, sys
from pathlib import Path
{preamble}
def peak_kb():
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1])
before = peak_kb()
found = {expression}
print(json.dumps([found, (peak_kb() - before) // 1024]))
"""
_ERROR_LOG = (
    "from cgidlab import unpack\nfrom cgidlab.parsers.error_log import parse_error_log\n"
    "def read(path):\n"
    "    log = parse_error_log(path, open_stream=unpack.open_stream)\n"
    "    return [log.messages['AH01256'], log.lines, log.unreadable_lines]"
)
_ACCESS_LOG = (
    "from cgidlab.parsers.access_log import read_access_log\n"
    "def read(path):\n"
    "    log = read_access_log(path)\n"
    "    return [len(log.status), len(log.status) + log.bad_lines, log.bad_lines]"
)
_ROWS = "from cgidlab.drivers.h2load import H2load\ndef read(path):\n    return [len(H2load().requests(path).status)]"


def read_in_a_child(preamble: str, path: Path) -> list[int]:
    """Return (good lines, all lines, bad lines) of a file, made sure that reading it takes little memory.

    Of a driver's rows only the good ones are known.
    """
    program = _READ.format(preamble=preamble, expression=f"read(Path({str(path)!r}))")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    found, grown_mb = json.loads(ran.stdout)
    assert grown_mb < _BOUND_MB, f"reading it took {grown_mb} MB"
    return list(found)


def with_a_hole(path: Path, line: bytes, size: int) -> Path:
    """Write a good line, a line of so many NUL bytes that takes no room on the disk, and a good line."""
    with path.open("wb") as file:
        file.write(line)
        file.seek(size, io.SEEK_CUR)
        file.write(b"\n" + line)
    return path


@pytest.mark.parametrize(
    ("reader", "line"),
    [(_ERROR_LOG, _RETRY), (_ACCESS_LOG, _ANSWER), (_ROWS, _ROW)],
    ids=["error_log", "access_log", "rows of a driver"],
)
def test_a_line_of_gigabytes_is_one_line_that_cannot_be_read(tmp_path: Path, reader: str, line: bytes) -> None:
    path = with_a_hole(tmp_path / "log", line, _LINE_MB * _MB)

    found = read_in_a_child(reader, path)
    assert found == [2, 3, 1][: len(found)]


def test_a_file_of_zeros_and_a_hole_before_a_line_are_read_in_little_memory(tmp_path: Path) -> None:
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(_LINE_MB * _MB)
    hole = tmp_path / "hole"  # as copytruncate leaves it, of a log that is not opened for appending
    with hole.open("wb") as file:
        file.seek(_LINE_MB * _MB)
        file.write(_RETRY)

    assert read_in_a_child(_ERROR_LOG, zeros) == [0, 1, 1]
    assert read_in_a_child(_ERROR_LOG, hole) == [1, 1, 0]


def test_a_log_that_names_something_new_in_each_line_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as file:
        for n in range(40_000):
            day = f"{1971 + n % 200}-{n % 12 + 1:02d}-{n % 28 + 1:02d} {n % 24:02d}:{n % 60:02d}:00"
            file.write(f"[{day}] [cgid:debug] [pid {n}] ({n})Words {n}: [client {n}] AH{n:05d}: connect #{n} to cgi\n")
            file.write(
                f"May {n % 28 + 1:2d} 10:00:00 h{n} httpd[{n}]: ({n})E{n}: AH01256: connect #{n} to cgi daemon failed\n"
            )
            file.write(f"[{day}] connect() to unix:/run/{n}.sock failed (11: Resource temporarily unavailable)\n")
            file.write(json.dumps({"log": "[cgid:error] AH01257: y", f"t{n}": [{"b": "AH01258: z"}], "ts": n}) + "\n")

    good, lines, bad = read_in_a_child(_ERROR_LOG, path)

    assert (lines, bad) == (160_000, 0)
    assert good >= 40_000


def test_an_xz_file_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "error_log.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * _MB}]
    packer = lzma.LZMACompressor(filters=filters)
    path.write_bytes(packer.compress(_RETRY) + packer.flush())
    reader = (
        "from cgidlab import unpack\nfrom cgidlab.errors import LabError\n"
        "def read(path):\n"
        "    try:\n"
        "        with unpack.open_stream(path) as stream:\n"
        "            stream.readinto(memoryview(bytearray(1000)))\n"
        "    except LabError as err:\n"
        "        return [int('Memory usage limit' in err.what), 1, 0]"
    )

    assert read_in_a_child(reader, path) == [1, 1, 0]


def test_a_packed_line_of_1_gb_is_one_line_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "error_log.gz"
    member = gzip.compress(b"A" * 16 * _MB)  # members one after another unpack to one text
    path.write_bytes(gzip.compress(_RETRY) + member * 64 + gzip.compress(b"\n" + _RETRY))
    assert path.stat().st_size < 2 * _MB

    assert read_in_a_child(_ERROR_LOG, path) == [2, 3, 1]


@pytest.mark.parametrize(
    "junk",
    [b"\0" * 300, b"\xff\xfe\xc0\x80\xed\xa0\x80", b"\x1b[2J\x1b]0;owned\x07", b"\r\r\r", b"\xe2\x80\xae"],
    ids=["NUL", "invalid UTF-8", "control sequences", "carriage returns", "right to left"],
)
@pytest.mark.parametrize(
    ("reader", "line"), [(_ERROR_LOG, _RETRY), (_ACCESS_LOG, _ANSWER), (_ROWS, _ROW)], ids=["error", "access", "rows"]
)
def test_lines_of_junk_are_counted_and_take_no_good_line_with_them(
    tmp_path: Path, reader: str, line: bytes, junk: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(line + junk + b"\n" + line + junk + b"\n")
    names: dict[str, Any] = {}
    exec(reader, names)  # noqa: S102 -- our own text, as the child above has it

    found = names["read"](path)
    assert found == [2, 4, 2][: len(found)]


# What a host says of itself.

_HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202eevil \0 \r<script>alert(1)</script> =cmd|' /C calc'!A0"
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def run(tmp_path: Path) -> store.RunDirectory:
    """Return a finished run of which one trial failed with words that want to be more than words."""
    plan = planned(tmp_path)
    made = store.create(tmp_path / "results", plan, "a")
    for trial in plan.trials[:-1]:
        keep(made, archive(tmp_path / "a.tar.gz", trial), trial)
    bad = plan.trials[-1]
    keep(made, archive(tmp_path / "a.tar.gz", bad, ended="failed", kind="sut", reason=_HOSTILE), bad)
    made.write("provenance.json", {"calibration": {"skipped": True}})
    made.set_state(store.FINISHED)
    return made


def test_what_a_host_says_moves_no_cursor_and_runs_nowhere(
    run: store.RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    conclude(run)
    page = (run.path / "report.html").read_text()

    for words in (["report", str(run.path)], ["report", str(run.path), "--format", "md"], ["status", str(run.path)]):
        cli.main(words)
        said = capsys.readouterr()
        assert not _CONTROL.search(said.out + said.err), words
    assert not _CONTROL.search(page)
    assert "owned" in page, "it is shown, as text"
    assert "<script>alert(1)" not in page
    rows = list(csv.DictReader((run.path / "trials.csv").open()))
    assert not any(str(value).startswith(("=", "+", "@")) for row in rows for value in row.values())


# Archives.


def bomb(path: Path, header: tarfile.TarInfo) -> Path:
    """Pack a header that says how much follows it, and so many zeros, which pack a thousand to one."""
    squeeze = zlib.compressobj(9, wbits=31)
    zeros = bytes(_MB)
    with path.open("wb") as file:
        file.write(squeeze.compress(header.tobuf(tarfile.USTAR_FORMAT)))
        for _ in range(header.size // _MB):
            file.write(squeeze.compress(zeros))
        file.write(squeeze.flush())
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax header", "long name"])
def test_an_archive_whose_names_unpack_to_a_quarter_of_a_gigabyte_is_refused_in_little_memory(
    tmp_path: Path, kind: bytes
) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 256 * _MB
    path = bomb(tmp_path / "a.tar.gz", header)
    assert path.stat().st_size < _MB
    reader = (
        "from cgidlab.runs import harvest\nfrom cgidlab.errors import StoreError\n"
        "def read(path):\n"
        "    try:\n"
        "        harvest.unpack(path, path.parent / 'trials' / '001-x', {'schema_version': 1})\n"
        "    except StoreError as err:\n"
        "        return [int('the archive is damaged' in err.what), 1, 0]"
    )

    assert read_in_a_child(reader, path) == [1, 1, 0]
    assert list((tmp_path / "trials").iterdir()) == []


def test_an_archive_that_says_it_unpacks_to_10_gb_is_refused_before_anything_of_that_is_written(tmp_path: Path) -> None:
    member = tarfile.TarInfo("logs/error_log")
    member.size = 10_000 * _MB
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)))

    with pytest.raises(StoreError, match=f"more than {harvest.MAX_UNPACKED_BYTES} bytes"):
        harvest.unpack(path, tmp_path / "trials" / "001-x", {"schema_version": 1})

    assert list((tmp_path / "trials").iterdir()) == []


def test_an_archive_that_cannot_be_kept_costs_its_own_trial_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    made = store.create(tmp_path / "results", plan, "a")
    loaded = Loaded(plan, CATALOGUE, Site(ROOT, tmp_path / "inventory.yml"))
    host = HostReport("local", "/python", True, "/w", "/h", {}, "/s", {}, {})  # noqa: FBT003 -- a row of the report
    numbers = blocks.Numbers(loaded, made)
    calls = BlockCalls(loaded.site)
    where = blocks._Where(loaded, made, host, Display(), lambda: False, "env", StopRule(), numbers, False, calls)  # noqa: SLF001, FBT003 -- what a block is given
    bad, good = plan.trials[:2]
    state = blocks._Ordered({t.number: t for t in (bad, good)})  # noqa: SLF001 -- same
    hostile = archive(tmp_path / "bad.tar.gz", bad)
    hostile.write_bytes(hostile.read_bytes()[:-30])

    lost = blocks._keep(where, state, Arrival(bad.number, "local", hostile, ""))  # noqa: SLF001 -- same
    kept = blocks._keep(where, state, Arrival(good.number, "local", archive(tmp_path / "good.tar.gz", good), ""))  # noqa: SLF001 -- same

    assert lost is None
    assert kept is not None
    assert "damaged" in state.news[0]
    assert [p.name for p in made.trials.iterdir()] == [good.directory]
    assert not hostile.exists()
