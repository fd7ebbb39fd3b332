"""Everything that reads what a user, a host or a disk may have got wrong: bytes in, a value or our own error out."""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cache, partial
from pathlib import Path
from typing import cast

from cgidlab import log_meaning, unpack
from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.design.catalogue import Catalogue
from cgidlab.drivers import ab, h2load, steady, wrk
from cgidlab.errors import LabError
from cgidlab.instruments import cgid_daemon, connect_times, host, listen_queue, strace, worker_states
from cgidlab.parsers import access_log, documents, host_report, host_snapshot, inventory, load_clocks, ssh_config
from cgidlab.parsers.error_log import parse_error_log
from cgidlab.runs import harvest, store
from cgidlab.unpack import Stream
from tests.unit import log_forms
from tests.unit.test_parsers_strace import LINES, SOCKET

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
_SSH = b'Host default\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  IdentityFile "/a b/key"\n'
TRIED: Counter[str] = Counter()
Call = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """A reader, and good input that bad input is made from."""

    call: Call
    samples: tuple[bytes, ...]


def tried(name: str, data: bytes) -> object:
    """Have one target read some bytes: our own errors are an answer, every other exception is a find."""
    TRIED[name] += 1
    try:
        return targets()[name].call(data)
    except LabError as err:
        return None if str(err).startswith("error: ") else err


@cache
def targets() -> dict[str, Target]:
    """Return every target by name."""
    trial = DATA / "trial"
    result = (trial / "result.json").read_bytes()
    settings = {"schema_version": 1, "key": "k", "settings": {"clients": 50, "loop": "closed", "window_s": 3.0}}
    good: dict[str, tuple[Call, Sequence[bytes]]] = {
        "experiment": (_experiment, [p.read_bytes() for p in sorted((ROOT / "experiments").glob("*.yml"))]),
        "inventory": (_inventory, [p.read_bytes() for p in sorted((ROOT / "inventories").glob("*.yml"))]),
        "result.json": (partial(documents.parse_result, where="x"), [result]),
        "host.json": (partial(documents.parse_host_edges, where="x"), [(trial / "host.json").read_bytes()]),
        "trial.json": (partial(documents.parse_trial, where="x"), [json.dumps(settings).encode()]),
        "snapshot": (partial(host_snapshot.parse_snapshot, where="x"), [_snapshot()]),
        "host report": (_host_report, [_report()]),
        "outcome": (_outcome, [b'{"schema_version": 1, "key": "k", "status": "failed", "reason": "r", "kind": "sut"}']),
        "load clocks": (partial(load_clocks.parse_load_clocks, where="x"), [_clocks()]),
        "ssh config": (lambda data: ssh_config.parse(data.decode(errors="replace")), [_SSH]),
        "ab": (partial(ab.parse_rows, where="x"), [_head(trial / "ab.rows")]),
        "h2load": (h2load.parse_rows, [_head(trial / "h2load.rows")]),
        "wrk": (wrk.parse_rows, [b"1795909714828526\t200\n" * 9]),
        "wrk's words": (
            wrk.parse_totals,
            [b" 14744 requests in 2.05s, 1KB read\n Socket errors: connect 0, read 2, write 0, timeout 0\n"],
        ),
        "h2load's words": (h2load.parse_totals, [_head(trial / "h2load.stdout")]),
        "steady's words": (
            steady.parse_totals,
            [b"steady: 512 answered, 2 unanswered, 3 connections renewed\n"],
        ),
        "strace": (partial(strace.parse_strace, prefix=SOCKET), [b"".join(line + b"\n" for line in LINES)]),
        "access_log": (access_log.parse_access_log, [_head(trial / "access_log")]),
        "listen_queue": (partial(listen_queue.parse_listen_queue, where="x"), [_head(trial / "listen_queue.csv")]),
        "worker_states": (partial(worker_states.parse_worker_states, where="x"), [_head(trial / "worker_states.csv")]),
        "cgid_daemon": (partial(cgid_daemon.parse_cgid_daemon, where="x"), [_head(trial / "cgid_daemon.csv")]),
        "host counters": (partial(host.parse_host_counters, where="x"), [_head(trial / "host.csv")]),
        "connect_times": (_connects, [_head(trial / "connect_times.csv"), b"Lost 12 events\n"]),
        "error_log": (_error_log, [_head(p) for p in sorted((DATA / "error_log").glob("*.log"))]),
        "error_log in its wrappings": (_error_log, [*log_forms.TIMED.values(), *log_forms.WITHOUT_TIME.values()]),
        "error_log of others": (_error_log, [p.read_bytes() for p in sorted((DATA / "logs").glob("*.[lc]*"))]),
        "packed log": (_packed, [gzip.compress(_head(trial / "access_log"), mtime=0)]),
        "archive": (_archive, [_archived()]),
    }
    return {name: Target(call, tuple(samples)) for name, (call, samples) in good.items()}


def _head(path: Path) -> bytes:
    """Return so much of a file as a mutation can say something about."""
    return path.read_bytes()[:3000]


@cache
def _catalogue() -> Catalogue:
    return catalogue.load(ROOT / "roles")


def _experiment(data: bytes) -> object:
    experiment = spec.build(strict_yaml.parse(data, "x.yml"), _catalogue())
    if experiment.repetitions.max > 10 or len(experiment.factors) > 6:
        return None  # a plan of 200,000 trials is allowed, and takes its time
    made = plan.make(experiment, _catalogue())
    for trial in made.trials:
        assert "/" not in trial.directory
        assert len(trial.directory.encode()) < 255
        assert trial.directory.isprintable()
    return json.dumps(store.plan_json(made)).encode()


@cache
def _directory() -> Path:
    made = tempfile.TemporaryDirectory(prefix="cgl-fuzz-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _written(name: str, data: bytes) -> Path:
    path = _directory() / name
    path.write_bytes(data)
    return path


def _inventory(data: bytes) -> object:
    inventory.check(_written("inventory.yml", data), named_by_user=False)
    return None


def _host_report(data: bytes) -> object:
    return host_report.read(_written("host.json", data))


def _outcome(data: bytes) -> object:
    directory = _directory() / "trial"
    directory.mkdir(exist_ok=True)
    trial = {
        "schema_version": 1,
        "number": 1,
        "block": 1,
        "key": "k",
        "host": "h",
        "cell": "c",
        "levels": {"clients": "5"},
        "settings": {"clients": 5, "warmup_s": 1.0, "window_s": 2.0},
    }
    (directory / "trial.json").write_text(json.dumps(trial))
    (directory / "outcome.json").write_bytes(data)
    return store.read_trial(directory)


def _connects(data: bytes) -> object:
    return connect_times.parse_connect_times(data), connect_times.parse_lost_events(data)


def _error_log(data: bytes) -> object:
    @contextmanager
    def opened(_path: Path) -> Iterator[Stream]:
        yield cast("Stream", io.BytesIO(data))

    found = parse_error_log(Path("x"), open_stream=opened)
    if b"\0" not in data[:4] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):  # else it may be UTF-16
        text = data.removeprefix(b"\xef\xbb\xbf")
        assert found.lines == text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    assert sum(found.kinds.values()) == found.lines
    assert all(n >= 0 for n in found.messages.values())
    said = [*log_meaning.explain(found, UTC, windowed=True), *log_meaning.unreadable(found)]
    assert len(said) <= log_meaning.MOST_LINES + 1
    assert "\n" not in "".join(said)
    return found


def _packed(data: bytes) -> object:
    return parse_error_log(_written("log", data), open_stream=unpack.open_stream)


def _archive(data: bytes) -> object:
    directory = _directory() / "trials" / "001-x"
    directory.parent.mkdir(exist_ok=True)
    before = {p.name for p in _directory().iterdir()}
    try:
        harvest.unpack(_written("archive", data), directory, {"schema_version": 1, "key": "k"})
    finally:
        assert {p.name for p in directory.parent.iterdir()} <= {"001-x"}
        assert {p.name for p in _directory().iterdir()} <= {*before, "archive"}
    return None


def _archived() -> bytes:
    files = {"result.json": b"{}", "logs/error_log": b"one\n" * 20}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), compresslevel=0, mtime=0)  # stored: a change reaches the tar inside


def _clocks() -> bytes:
    clock = {"role": "server", "trouble": "", "offset_ns": 5, "uncertainty_ns": 9, "before": None, "after": None}
    hosts = {"s": clock, "g": {**clock, "role": "generator", "state": "ended", "reason": ""}}
    return json.dumps({"schema_version": 1, "start_ns": 17, "hosts": hosts}).encode()


def _snapshot() -> bytes:
    process = {"pid": 1, "start_ticks": 5, "parent": 0, "uid": 0, "name": "init", "run": ""}
    value = {
        "schema_version": 1,
        "boot_id": "b",
        "taken_s": 1.5,
        "work_dir": "/w",
        "sysctls": {"net.x": "1"},
        "processes": [process],
        "listeners": [{"protocol": "tcp", "address": "0.0.0.0 port 1", "pid": None}],
        "mounts": [{"point": "/", "type": "ext4", "source": "x"}],
        "services": {"a.service": "active"},
        "files": [{"path": "/w/a", "run": "/w/a"}],
        "bpf_programs": [{"id": 3, "name": "x"}],
    }
    return json.dumps(value).encode()


def _report() -> bytes:
    variant = {"listen_backlog": 5, "connect_attempts": 15, "patches": "", "path": "/m.so", "sha256": "0" * 64}
    httpd = {
        "binary": "/h",
        "modules_dir": "/m",
        "source_version": "2.4.68",
        "version": "2.4.68",
        "source": "distro",
        "source_sha256": "0" * 64,
        "build_key": "k",
        "skipped": [],
        "variants": [variant],
    }
    value = {
        "schema_version": 1,
        "host": "h",
        "python": "/p",
        "become": False,
        "dirs": {"work": "/w", "cache": "/c"},
        "helper": "/x.pyz",
        "httpd": {"distro": httpd},
        "scripts_dir": "/s",
        "tools": {"ab": {"path": None}},
        "scripts": {},
        "facts": {},
        "uid": 0,
    }
    return json.dumps(value).encode()
