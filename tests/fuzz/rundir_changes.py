"""What a stranger may have done to a run directory: documents, bytes, columns, archives, names and kinds of files."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from cgidlab import files, rundir
from cgidlab.parsers import document as document_ends
from cgidlab.runs import headroom, limiting, records, store
from tests.fuzz.mutate import mutate
from tests.fuzz.rundir_verbs import BESIDE, BISECT, HOME

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "data" / "run-0.1.0"
PACKED = tuple(sorted((ROOT / "tests" / "data" / "runs").glob("*.tar.xz")))  # of other kinds, named after them
_IN_RESULTS = {
    "run-0.1.0": "smoke",
    "calibrated": "calibration",
    "observed": "observe",
    "watched": "observe",
    "listed": "observe-all",
    "bisected": "planted-bisect",
}
"""Below which directory of results a kind lies, where that is not its name."""
RUN = "20261129T000000Z-bbbb"
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
    "9" * 400,
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
_CELLS: tuple[bytes, ...] = (
    b"",
    b"-1",
    b"x",
    b"nan",
    b"inf",
    b"1e999",
    b"9" * 19,
    b"9" * 400,
    b"\0",
    b"\xff",
    b'"',
    b"1;2",
    b"0x10",
    b" 5 ",
    b"1_000",
    b"\xd9\xa3",  # a digit, of another script
)
_TRIALS = ("trials/*", "limits/*/trials/*")
_TABLES = ("instruments/*.csv", "load/rows.log", "load/*/rows.log")
_NAMES: tuple[bytes, ...] = (
    b"\xff\xfe",
    b"\xed\xa0\x80.json",
    b"\x1b[2J",
    b"x" * 255,
    b"a\nb",
    b"-rf",
    b"{{7*7}}",
    b"001-listen_backlog-5-b1",
    b"1x-y",
    b"9" * 200 + b"-x",
)
_GONE = object()
_READY = ("provisioned_s", "calibrated_s")
_STATE = "bisect-0123456789ab.json"
_SELDOM = {"reloads.json", "interventions.json", "clocks.json", "plan.json", "summary.json", "provenance.json"}
_SELDOM |= {"calibration.json", "observation.json", "observed.json", "state.json"}


def kinds() -> dict[str, Path]:
    """Return every kind of run that is changed, by name."""
    return {kept.name.removesuffix(".tar.xz"): kept for kept in (KEPT, *PACKED)}


def made(place: Path, random: Random, chosen: Sequence[str] = ()) -> Path:
    """Make a changed copy of a kept run below `place`, with a whole one beside it, and return its path.

    It is of one of the kinds that are `chosen`, or of any. Files that nobody changed are those of the whole one:
    whoever writes to one in its place shows in `held`.
    """
    good = unpacked(kinds()[random.choice(list(chosen) or list(kinds()))], place)
    run, results = good.with_name(RUN), good.parents[1]
    for left in (*results.iterdir(), *run.parent.iterdir()):  # by the case before
        if left not in (run.parent, good, results / BISECT):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    shutil.copytree(good, run, copy_function=os.link)
    run.with_name("latest").symlink_to(RUN)
    if (results / BISECT).exists():
        put(run.parent / _STATE, (results / BISECT).read_bytes())
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(OSError):  # what another change left may be no place for it
            random.choices(list(_CHANGES), list(_CHANGES.values()))[0](run, random)
    if not run.exists():
        run.mkdir()
    return run


def unpacked(kept: Path, place: Path) -> Path:
    """Have a kept run, whole, in its place below `place`, and return its path."""
    kind = kept.name.removesuffix(".tar.xz")
    good = place / kind / _IN_RESULTS.get(kind, kind) / BESIDE
    if not good.exists():
        if kept.is_dir():
            shutil.copytree(kept, good)
        else:
            with tarfile.open(kept) as tar:
                tar.extractall(good, filter="data")
        for state in good.glob("bisect-*.json"):  # it lies beside the runs
            state.rename(place / kind / BISECT)
        if (good / "plan.json").exists():
            # With figures of today, which are not measured by each reader again.
            records.load_all(store.open_run(good))
            limiting.shown(store.open_run(good))
    return good


def held(place: Path) -> dict[str, bytes]:
    """Return what the whole runs beside the changed ones hold: nobody writes there."""
    beside = (p for top in place.glob(f"*/*/{BESIDE}") for p in top.rglob("*") if p.is_file())
    return {str(p.relative_to(place)): p.read_bytes() for p in beside}


def put(path: Path, data: bytes) -> None:
    """Write a file anew; one that has the same name elsewhere keeps what it held."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _documents(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*.json") if p.is_file() and not p.is_symlink())


def _lists(run: Path) -> list[Path]:
    """Return the lists of checksums of trials, after those of their generators, which they name."""
    return [p for below in ("load/*/", "") for top in _TRIALS for p in sorted(run.glob(f"{top}/{below}SHA256SUMS"))]


def _files(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*") if p.is_file() and not p.is_symlink())


def _value(run: Path, random: Random) -> None:
    """Change values of a document, and make its checksums again."""
    documents = _documents(run)
    if random.random() < 0.4:  # those of which there are few
        documents = [p for p in documents if p.name in _SELDOM] or documents
    _change_value(random.choice(documents or [run / "plan.json"]), random)
    remake_sums(run)


def _change_value(path: Path, random: Random) -> None:
    """Change one value of a document."""
    document = _document(path)
    if not document:
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
    _sealed(path, document)


def _sealed(path: Path, document: dict[str, Any]) -> None:
    """Write a document with its checksum."""
    document.pop(files.SEAL, None)
    with contextlib.suppress(ValueError):  # NaN has no checksum: no checksum is looked at then
        document[files.SEAL] = files.seal_of(document)
    put(path, json.dumps(document).encode())


def _document(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _figures(run: Path, random: Random) -> None:
    """Have trials measured anything that a document may say: 0, or the smallest and the largest there is."""
    ends = [random.choice((0, document_ends.SMALLEST_FIGURE, 1, document_ends.LARGEST_FIGURE, None)) for _ in range(2)]
    apart = random.choice((_by_name, _by_block, _by_chance))
    for path in sorted(p for p in run.rglob("figures.json") if p.is_file() and not p.is_symlink()):
        document = _document(path)
        if document is None or not isinstance(document.get("figures"), dict):
            continue  # another change was here
        end = ends[apart(path, random)]
        for name, value in document["figures"].items():
            if isinstance(value, int | float):
                document["figures"][name] = end if end is None else type(value)(end)
        _sealed(path, document)


def _by_name(path: Path, _random: Random) -> int:
    return int("1024" in path.parent.name)


def _by_block(path: Path, _random: Random) -> int:
    return int(path.parent.name[-1:] in "135")


def _by_chance(_path: Path, random: Random) -> int:
    return random.randrange(2)


def remake_sums(run: Path) -> None:
    """Make the lists of checksums again, of what they name and what is there."""
    for sums in (p for p in _lists(run) if p.is_file() and not p.is_symlink()):
        lines = []
        for line in sums.read_text(errors="replace").splitlines():
            _, _, name = line.partition("  ")
            with contextlib.suppress(OSError, ValueError):
                if (sums.parent / name).is_file():
                    with (sums.parent / name).open("rb") as file:
                        lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
        put(sums, "".join(lines).encode())


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
    put(path, bytes(data))
    if random.random() < 0.7:
        remake_sums(run)


def _columns(run: Path, random: Random) -> None:
    """Change columns: of what instruments and drivers wrote, or of a table for other tools, which nobody asked for."""
    if random.random() < 0.2:
        path = random.choice([run / "trials.parquet", *(d / "load" / "requests.parquet" for d in _trials(run))])
        if path.parent.is_dir() and not path.is_dir():
            put(path, _parquet(random))
        return
    chosen = sorted(p for pattern in _TABLES for top in _TRIALS for p in run.glob(f"{top}/{pattern}"))
    if not chosen:
        return
    path = random.choice(chosen)
    if not path.is_file() or path.is_symlink():
        return
    put(path, _changed_table(path.read_bytes(), random))
    for figures in (p / "figures.json" for p in path.parents[1:3]):
        if figures.is_file():  # so that it is measured again
            figures.unlink()
    remake_sums(run)


def _changed_table(data: bytes, random: Random) -> bytes:
    """Change a column of a table in all rows or in one; take it away, give it twice, or many times."""
    comma = b"\t" if b"\t" in data[:200] else b","
    rows = [line.split(comma) for line in data.splitlines()]
    if not rows or not rows[0]:
        return random.choice(TEXTS)
    column, new = random.randrange(len(rows[0])), random.choice(_CELLS)
    kind = random.randrange(6)
    only = random.randrange(len(rows)) if random.random() < 0.5 else None
    for number, row in enumerate(rows):
        if column >= len(row) or (only is not None and number != only):
            continue
        if kind == 0:
            del row[column]
        elif kind == 1:
            row.insert(column, row[column])
        elif kind == 2 and number == only:
            row[column : column + 1] = [row[column]] * 5000
        else:
            row[column] = new
    if kind == 3:
        random.shuffle(rows)
    return b"\n".join(comma.join(row) for row in rows) + b"\n"


def _parquet(random: Random) -> bytes:
    columns: dict[str, pl.Series] = {}
    for name in random.sample(("start_us", "latency_us", "status", "trial", "throughput_rps"), random.randrange(1, 5)):
        columns[name] = random.choice(
            (
                pl.Series([None, 1, -1]),
                pl.Series(["x", None, "\0"]),
                pl.Series([float("nan"), float("inf"), None]),
                pl.Series([[1], [], None]),
                pl.Series([{"a": 1}, None, {"a": 2}]),
                pl.zeros(3, dtype=pl.UInt64, eager=True),
            )
        )
    data = io.BytesIO()
    pl.DataFrame(columns).write_parquet(data)
    made_of = data.getvalue()
    return mutate([made_of], random) if random.random() < 0.5 else made_of


def _trials(run: Path) -> list[Path]:
    directory = run / "trials"
    if not directory.is_dir() or directory.is_symlink():
        return []
    return sorted(p for p in directory.iterdir() if p.is_dir() and not p.is_symlink())


def _arrival(run: Path, random: Random) -> None:
    """Have a trial come home again, in an archive of a host that means no good."""
    trials = [t for t in _trials(run) if (t / "trial.json").is_file()]
    if not trials:
        return
    trial = random.choice(trials)
    number = trial.name[:3].lstrip("0") or "1"
    packed = _packed(trial, random)
    shutil.rmtree(trial)
    incoming = run / "ansible" / "block-001" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    archive = incoming / f"{number}.tar.gz"
    if random.random() < 0.1 and not archive.exists():
        random.choice(_KINDS)(archive)
    elif archive.is_file() or not os.path.lexists(archive):
        put(archive, packed)
    said: dict[str, Any] = {"number": int(number) if number.isdigit() else 1, "host": "local"}
    said |= {"archive": str(archive), "ended": "complete", "reason": ""}
    if random.random() < 0.3:
        said[random.choice(list(said))] = random.choice(VALUES)
    put(incoming / f"{number}.arrival.json", json.dumps(said).encode())


def _packed(trial: Path, random: Random) -> bytes:
    """Return a trial's files as a host packs them, with a list of checksums that fits, and one thing wrong."""
    ours = {"trial.json", "outcome.json", "figures.json", "load/requests.parquet", "SHA256SUMS", "observed.json"}
    held = {str(p.relative_to(trial)): p for p in _files(trial)}
    data = {name: p.read_bytes() for name, p in held.items() if name not in ours}
    kind = random.randrange(5)
    if kind == 0 and data:
        name = random.choice(sorted(data))
        data[name] = mutate([data[name] or b"x"], random)
    elif kind == 1 and (tables := sorted(n for n in data if n.endswith((".csv", "rows.log")))):
        name = random.choice(tables)
        data[name] = _changed_table(data[name], random)
    elif kind == 2 and data:
        name = random.choice(sorted(data))
        data[os.fsdecode(random.choice((*_NAMES, b"../x", b"/x", b"trial.json", b"a/b/c")))] = data.pop(name)
    sums = "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in data.items())
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape") as tar:
        for name, text in {"SHA256SUMS": os.fsencode(sums), **data}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            if kind == 3 and random.random() < 0.1:
                member.type = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE))
                member.linkname = random.choice(("/etc/passwd", "result.json", "..", ""))
            tar.addfile(member, io.BytesIO(text) if member.isfile() else None)
    raw = stream.getvalue()
    if kind == 4:
        raw = bytes(_flipped(bytearray(raw), random))
    whole = gzip.compress(raw, compresslevel=1, mtime=0)
    return whole[: random.randrange(len(whole))] if random.random() < 0.1 else whole


def _flipped(raw: bytearray, random: Random) -> bytearray:
    """Change some bytes of tar's headers: they are where the file's own bytes are not."""
    for _ in range(random.randrange(1, 5)):
        at = 512 * random.randrange(max(1, len(raw) // 512)) + random.randrange(512)
        if at < len(raw):
            raw[at] = random.choice((0, 0x39, 0x80, 0xFF, raw[at] ^ 1))
    return raw


def _kind(run: Path, random: Random) -> None:
    """Put something that is no file, or another one, in a file's or a directory's place."""
    paths = [*_files(run), *(run / n for n in ("report.html", "trials.csv", "trials.parquet", "generators.csv"))]
    path = random.choice(paths)
    if random.random() < 0.2:
        path = random.choice([run / "trials", *_trials(run), path.parent])
        if path == run:
            return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    random.choice(_KINDS)(path)


def _as_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:  # a socket's path is short
        bound.bind(path.name[:100])


def _as_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(rundir.MAX_READ_BYTES + 1)


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
    path = random.choice([*_files(run), *_trials(run), *_trials(run)])
    with contextlib.suppress(OSError):
        path.rename(path.with_name(os.fsdecode(random.choice(_NAMES))))


def _twice(run: Path, random: Random) -> None:
    """Keep a trial under two names."""
    source = random.choice(_trials(run) or [run / "hosts"])
    with contextlib.suppress(OSError):
        shutil.copytree(source, source.with_name(f"9{source.name}"), symlinks=True)


def _listed(run: Path, random: Random) -> None:
    """Have a list of checksums name something else."""
    sums = random.choice(_lists(run) or [run / "trials"])
    name = random.choice(("/dev/zero", "../../../../dev/zero", "x\0y", "", ".", "result.json", "a" * 300))
    if sums.is_file():
        put(sums, sums.read_bytes() + f"{'0' * 64}  {name}\n".encode())


def _state(run: Path, random: Random) -> None:
    """Have the run be somewhere else on its way, or go on with it: only then verbs look at some of what it holds."""
    state = _document(run / "state.json")
    if state is None:
        return
    state |= random.choice((
        {"state": "interrupted"},
        {"state": "running", "pid": None},
        {"made_ready": {"target": "local", "builds": ["distro"], "hosts": 1, **dict.fromkeys(_READY, 5e-30)}},
        {"spent": {"blocks": random.choice((0, 1, 10**9)), "spent_s": random.choice((0, 1e-30, 1e15))}},
        {"budget": {"budget_s": 60, "blocks": 2}},
    ))  # fmt: skip
    _sealed(run / "state.json", state)


def _journal(run: Path, random: Random) -> None:
    """Have the run hold something of its host, as what was killed does, and change that, or not."""
    sysctl = {"setting": "somaxconn", "old": "4096", "new": ["128"], "boot_id": "b"}
    inventory, work_dir, opened_at = str(ROOT / "inventories" / "local.yml"), "/srv/cgidlab", "2026-11-29T00:00:00"
    block: dict[str, Any] = {"host": "local", "inventory": inventory, "work_dir": work_dir, "opened_at": opened_at}
    block |= {"block": f"{work_dir}/{RUN}-block-001", "sysctls": [sysctl]}
    _sealed(run / "journal.json", {"schema_version": 1, "held": [block]})
    state = _document(run / "state.json")
    if state is not None:
        _sealed(run / "state.json", {**state, "state": "interrupted"})
    if random.random() < 0.7:
        _change_value(run / "journal.json", random)


def _asked(run: Path, random: Random) -> None:
    """Have an old build beside the new one, of which the run wrote down what it was asked, and change that, or not."""
    plan = _document(run / "plan.json")
    if plan is None:
        return
    _sealed(run / "asked.json", {**plan, "trials": []})
    if random.random() < 0.7:
        _change_value(run / "asked.json", random)


def _beside(run: Path, random: Random) -> None:
    """Change what lies beside the runs of a search for a commit: how far it is."""
    state = run.parent / _STATE
    if not state.exists():
        return
    kind = random.randrange(4)
    if kind == 0:
        put(state, random.choice(TEXTS))
    elif kind == 1:
        state.unlink()
        random.choice(_KINDS)(state)
    else:
        _change_value(state, random)


def _headroom(run: Path, random: Random) -> None:
    """Have a trial, as it is by now, be that of what a driver can do, and measured again, or not."""
    trials = _trials(run)
    if not trials:
        return
    trial = run / headroom.DIRECTORY / "local" / "trials" / "901-x"
    shutil.copytree(random.choice(trials), trial, symlinks=True, dirs_exist_ok=True)
    if random.random() < 0.5 and (trial / "figures.json").is_file():
        (trial / "figures.json").unlink()
    _change_value(random.choice([*_documents(trial), trial / "result.json"]), random)


def _around(run: Path, random: Random) -> None:
    """Have something among the runs, or among the experiments, that is none."""
    results, odd = (
        run.parents[1],
        os.fsdecode(random.choice((*_NAMES, b"odd", b"calibration", b"20261130T000000Z-cccc"))),
    )
    place = random.choice((run.with_name("latest"), run.with_name(".looking"), run.with_name(odd), results / odd))
    place.unlink(missing_ok=True)
    kinds: list[Callable[[Path], object]] = [*_KINDS, partial(shutil.copytree, run, copy_function=os.link)]
    random.choice(kinds)(place)
    if place.is_dir() and not place.is_symlink():
        random.choice(_KINDS)(place / random.choice(("latest", RUN, "plan.json", "trials", "state.json")))


def _home(run: Path, random: Random) -> None:
    """Have hosts that were watched bring home what means no good: what they say, and the archives of sockets."""
    told = sorted((run / HOME).glob("*/observation.json"))
    if not told:
        return
    for number, trial in enumerate(_trials(run), 1):
        put(told[0].with_name(f"{number:03d}.tar.gz"), _packed(trial, random))
    for _ in range(random.randrange(3)):
        _change_value(told[0], random)


_CHANGES: dict[Callable[[Path, Random], None], int] = {
    _value: 50,
    _bytes: 12,
    _columns: 12,
    _arrival: 10,
    _kind: 12,
    _name: 5,
    _twice: 3,
    _listed: 4,
    _figures: 8,
    _state: 5,
    _journal: 3,
    _asked: 2,
    _beside: 6,
    _home: 12,
    _around: 6,
    _headroom: 3,
}
