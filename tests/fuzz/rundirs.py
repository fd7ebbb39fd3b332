"""Whole run directories as a stranger may send them: good ones changed, and every verb that reads them."""

import argparse
import contextlib
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from cgidlab import cli, files
from cgidlab.engine import resuming
from cgidlab.errors import LabError
from cgidlab.runs import store

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "data" / "run-0.1.0"
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    -0.0,
    5e-324,
    1e308,
    1.5,
    2**63,
    10**30,
    float("nan"),
    float("-inf"),
    "",
    "x",
    "5",
    "\ud800",
    "\0",
    "\n# h\n",
    "../../../etc/passwd",
    "/etc/passwd",
    "{{7*7}}",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "2026-13-45T99:99:99",
    "a" * 5000,
    [],
    [[]],
    [None],
    {},
    {"": {}},
    {"a": 1},
)
TEXTS: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"schema_version": 1, "schema_version": 1}',
    b'{"schema_version": 1' + b"0" * 400 + b"}",
    b"PAR1 torn",
    b"0\n" * 3,
    b"1\t200\t-5\n" * 50,
    b"9" * 40 + b"\n",
)
_GONE = object()
_VERBS = 3  # of all, on one directory: they share most of what can break
_DEAR = 0.15  # share of the directories of which charts may be drawn: that takes ten times as long as the rest
_TOLD = 10  # directories, between two words of how far it is
HANG_S, WAIT_S = 20.0, 120  # of CPU, of wall time: a report of four trials takes half a second


class Hung(Exception):  # noqa: N818 -- what happened, not an error of ours
    """A verb that took longer than any may."""


def made(place: Path, random: Random) -> Path:
    """Make a changed copy of the kept run below `place`, with a whole one beside it, and return its path."""
    experiment = place / "smoke"
    shutil.rmtree(experiment, ignore_errors=True)
    for name in ("20261128T000000Z-aaaa", "20261129T000000Z-bbbb"):
        shutil.copytree(KEPT, experiment / name)
    run = experiment / "20261129T000000Z-bbbb"
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choices(_CHANGES, _WEIGHTS)[0](run, random)
    return run


def _documents(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*.json") if p.is_file() and not p.is_symlink())


def _files(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*") if p.is_file() and not p.is_symlink())


def _value(run: Path, random: Random) -> None:
    """Change values of a document, and make its checksums again."""
    path = random.choice(_documents(run) or [run / "plan.json"])
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys)
        inner = place[key]
        if isinstance(inner, dict | list) and inner and random.random() < 0.85:
            place = inner
            continue
        break
    new = random.choice((*VALUES, _GONE))
    if new is _GONE:
        del place[key]
    else:
        place[key] = new
    document.pop(files.SEAL, None)
    with contextlib.suppress(ValueError):  # NaN has no checksum: no checksum is looked at then
        document[files.SEAL] = files.seal_of(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    remake_sums(run)


def remake_sums(run: Path) -> None:
    """Make the lists of checksums again, of what they name and what is there."""
    for sums in run.glob("trials/*/SHA256SUMS"):
        lines = []
        for line in sums.read_text(errors="replace").splitlines():
            _, _, name = line.partition("  ")
            with contextlib.suppress(OSError, ValueError):
                if (sums.parent / name).is_file():
                    digest = hashlib.sha256((sums.parent / name).read_bytes()).hexdigest()
                    lines.append(f"{digest}  {name}\n")
        sums.write_text("".join(lines))


def _bytes(run: Path, random: Random) -> None:
    """Change bytes of any file, with or without its checksum."""
    path = random.choice(_files(run))
    data = bytearray(path.read_bytes())
    if random.random() < 0.4:
        data = bytearray(random.choice(TEXTS))
    elif data:
        at = random.randrange(len(data))
        data[at : at + random.randrange(40)] = random.choice(
            (b"", b"\xff", b"-", b"99999999999999999999", b"\n", b"\0")
        )
    path.write_bytes(bytes(data))
    if random.random() < 0.7:
        remake_sums(run)


def _kind(run: Path, random: Random) -> None:
    """Put something that is no file, or another one, in a file's or a directory's place."""
    paths = [*_files(run), *(run / n for n in ("report.html", "trials.csv", "trials.parquet", "generators.csv"))]
    path = random.choice(paths)
    if random.random() < 0.2:
        path = random.choice([run / "trials", *sorted((run / "trials").iterdir()), path.parent])
        if path == run:
            return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    random.choice(_KINDS)(path)


def _as_socket(path: Path) -> None:
    here = os.getcwd()  # noqa: PTH109 -- a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        try:
            os.chdir(path.parent)
            made.bind(path.name[:100])
        finally:
            os.chdir(here)


def _as_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


_KINDS: tuple[Callable[[Path], object], ...] = (
    os.mkfifo,
    Path.mkdir,
    _as_socket,
    lambda _path: None,  # it is gone
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/stdin"),
    lambda path: path.symlink_to("/etc/passwd"),
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("/etc"),
    lambda path: path.symlink_to(KEPT / "plan.json"),
    lambda path: path.symlink_to(KEPT / "trials"),
    _as_large,
)


def _name(run: Path, random: Random) -> None:
    """Give something another name."""
    path = random.choice([*_files(run), *sorted((run / "trials").glob("*"))])
    new = random.choice((b"\xff\xfe", b"\x1b[2J", b"x" * 255, b"a\nb", b"-rf", b"{{7*7}}", b"001-listen_backlog-5-b1"))
    with contextlib.suppress(OSError):
        path.rename(path.with_name(os.fsdecode(new)))


def _twice(run: Path, random: Random) -> None:
    """Keep a trial under two names."""
    source = random.choice(sorted((run / "trials").iterdir()))
    with contextlib.suppress(OSError):
        shutil.copytree(source, source.with_name(f"9{source.name}"), symlinks=True)


def _listed(run: Path, random: Random) -> None:
    """Have a list of checksums name something else."""
    sums = random.choice(sorted(run.glob("trials/*/SHA256SUMS")) or [run / "trials"])
    name = random.choice(("/dev/zero", "../../../../dev/zero", "x\0y", "", ".", "result.json", "a" * 300))
    if sums.is_file():
        with sums.open("a") as file:
            file.write(f"{'0' * 64}  {name}\n")


_CHANGES: tuple[Callable[[Path, Random], None], ...] = (_value, _bytes, _kind, _name, _twice, _listed)
_WEIGHTS = (60, 14, 14, 5, 3, 4)


def verbs(run: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield every reading verb by name, for one run in its place."""
    results, other = run.parents[1], run.with_name("20261128T000000Z-aaaa")
    for form in ("html", "md", "json"):
        yield form, partial(cli.main, ["report", str(run), "--format", form])
    yield "output", lambda: cli.main(["report", str(run), "--output", str(results / "derived")])
    yield "status", lambda: cli.main(["status", str(run)])
    yield "status of all", lambda: cli.main(["status", "--results", str(results)])
    for form in ("text", "json", "md"):
        yield f"history {form}", partial(cli.main, ["history", "smoke", "--results", str(results), "--format", form])
    yield "compare", lambda: cli.main(["compare", str(other), str(run)])
    yield "compare from it", lambda: cli.main(["compare", str(run), str(other)])
    yield "resume", lambda: _resumed(run)


def _resumed(run: Path) -> object:
    """Take the part of `--resume` that reads."""
    try:
        opened = store.find(run.parents[1], str(run))
        continued = resuming.load(opened, ROOT, None)
        resuming.refuse(continued, continued.differences, ())
    except LabError as err:
        return str(err)
    return 0


@dataclass(frozen=True, slots=True)
class Find:
    """A verb that raised what is no error of ours, or took too long."""

    seed: str
    verb: str
    text: str


def tried(place: Path, seed: str) -> list[Find]:
    """Make one directory from a seed below `place`, run some verbs on it, and return what was found."""
    random = Random(seed)  # noqa: S311 -- chance, not a secret
    run = made(place, random)
    finds = []
    dear = random.random() < _DEAR
    some = [(verb, call) for verb, call in verbs(run) if dear or verb not in {"html", "output"}]
    for verb, call in random.sample(some, _VERBS):
        said = io.StringIO()
        try:
            with limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                call()
        except (Exception, SystemExit):  # noqa: BLE001 -- whatever it is, it is a find
            finds.append(Find(seed, verb, traceback.format_exc()))
    return finds


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """End what uses more CPU time than any verb may, or waits for something that never comes."""

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise Hung

    before = {number: signal.signal(number, ended) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    signal.alarm(WAIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: Sequence[str]) -> int:
    """Try many directories: python -m tests.fuzz.rundirs [--cases N] [--seed N]. Return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="cgl-rundirs-") as place:
        for case in range(args.cases):
            if case % _TOLD == 0:
                sys.stderr.write(f"\r{case:,} ")
                sys.stderr.flush()
            for find in tried(Path(place).resolve(), f"{args.seed}-{case}"):
                kind = "".join(find.text.splitlines(keepends=True)[-3:])
                kinds[kind] += 1
                if kinds[kind] == 1:
                    sys.stdout.write(f"{find.seed} {find.verb}\n{find.text}\n")
                    sys.stdout.flush()
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{args.cases:,} directories, {sum(kinds.values())} found of {len(kinds)} kinds, {memory_mb} MB\n")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
