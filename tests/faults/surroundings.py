"""What surrounds a run and is not as usual: each row is run once, gone on with, and compared with an undisturbed run.

    python -m tests.faults.surroundings [--only TEXT]... [--keep FILE] [--write docs/reliability.md]

Everything is made in namespaces and control groups of the row's own. A row has survived as a fault of the matrix has
(`tests.faults.matrix`), with one error at most, and none where it says that the run goes on as if nothing had been.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults import matrix
from tests.faults.matrix import ROOT, Run

BEGIN, END = "<!-- surroundings: written by make faults -->", "<!-- end of the surroundings -->"
STOPPED_S = 120.0
COPIES, AT_ONCE = 100, 4
_CACHE = "/var/cache/cgidlab"
_CGROUPS = Path("/sys/fs/cgroup")
# `over DIRECTORY noexec|ro|full`: so it is from now on for this run alone, its own place aside.
_OVER = r"""
over() {
  mount --bind "$PLACE" /mnt
  if [ "$2" = full ]; then
    mkdir "$PLACE/upper"; mount -t tmpfs -o size=64k none "$PLACE/upper"
    mkdir "$PLACE/upper/u" "$PLACE/upper/w"; chmod --reference="$1" "$PLACE/upper/u"
    mount -t overlay -o "lowerdir=$1,upperdir=$PLACE/upper/u,workdir=$PLACE/upper/w" none "$1"
    cat /dev/zero > "$PLACE/upper/filler" 2>/dev/null
  else
    mount --bind "$1" "$1"; mount -o "remount,bind,$2" "$1"
  fi
  case "$PLACE/" in "$1"/*) mount --move /mnt "$PLACE";; *) umount /mnt;; esac
}
"""
# A host of one's own, of the same name: its processes, its locks, and its work directory.
_APART = """
mount -t tmpfs none /var/tmp && mount --bind "{own}" "{work}" &&
exec unshare --pid --fork --kill-child --mount-proc sh -c '"$@"; exit $?' sh "$@"
"""
# The host's Python, which answers every module: as a host that means no good, while the row says so.
# Under its own name: the host is asked for its Python, and what Ansible does not start is started by that.
_PYTHON = """\
#!/bin/bash
case "$(cat '{place}/fault' 2>/dev/null)" in
  garbage) head -c 3000000 /dev/urandom; exit 0 ;;
  slow) sleep 3 ;;
  'for ever') exec sleep 100000 ;;
  clock) exec unshare --mount sh -c 'mount --bind "{place}/preload" /etc/ld.so.preload; exec /usr/bin/python3 "$@"' \
sh "$@" ;;
  'own clock') unset LD_PRELOAD ;;
esac
exec -a "$0" /usr/bin/python3 "$@"
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which what surrounds a run is not as usual."""

    name: str
    around: str = ""  # a shell's words before the runner is started with `exec "$@"`, in a mount namespace
    start: str = 'exec "$@"'
    phase: str = "load"
    during: Callable[[Run], object] | None = None  # in that phase
    host: str = ""  # what its Python does from the beginning
    words: tuple[str, ...] = ()
    directory: Path = ROOT  # where the runner is started
    goes_on: bool = False  # it ends by itself, as if nothing had been
    may_fail: bool = False  # a trial whose own program was hit may stay failed, with its reason
    without: tuple[str, ...] = ()  # an instrument that says itself why it cannot run so, and its files, which may lack


@dataclass(slots=True)
class Seen:
    """What became of a row."""

    name: str
    ended: int | None = None  # exit status of the run that met the fault
    error: str = ""  # its error
    lost: int = 0
    trouble: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def survived(self) -> bool:
        """Say whether everything is as it should be."""
        return not self.lost and not self.trouble


def _said(what: str) -> Callable[[Run], object]:
    return lambda run: (run.place / "fault").write_text(what)


def _stop(pids: Callable[[Run], Sequence[int]]) -> Callable[[Run], object]:
    def during(run: Run) -> None:
        found = [pid for pid in pids(run) if matrix.send(pid, signal.SIGSTOP)]
        time.sleep(STOPPED_S)
        for pid in found:
            matrix.send(pid, signal.SIGCONT)

    return during


def _runners(run: Run) -> list[int]:
    """Return the runner and what it started on this side: Ansible with its workers."""
    assert run.process is not None
    own, found = run.processes(), {run.process.pid}
    while more := {pid for pid, (_, parent) in own.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _group(kind: str, run: Run) -> Path:
    held = next(li for li in Path("/proc/self/cgroup").read_text().splitlines() if f":{kind}:" in li)
    made = _CGROUPS / kind / held.rpartition(":")[2].lstrip("/") / f"cgl-{run.place.name}"
    made.mkdir(exist_ok=True)
    return made


def _no_more_processes(run: Run) -> None:
    group = _group("pids", run)
    for pid in run.processes():
        with suppress(OSError):
            (group / "cgroup.procs").write_text(str(pid))
    (group / "pids.max").write_text((group / "pids.current").read_text())
    time.sleep(6)
    (group / "pids.max").write_text("max")  # somebody else's processes have ended


def _no_more_memory(fault: str) -> Callable[[Run], object]:
    """Put a process, and what it started, under a limit that it has passed already."""

    def during(run: Run) -> None:
        group = _group("memory", run)
        (group / "memory.limit_in_bytes").write_text(str(256 << 10))
        own = run.processes()
        chosen = {run.process.pid} if fault == "runner" and run.process else set(matrix.victims(run, f"kill {fault}"))
        if fault == "httpd":
            chosen |= {pid for pid, (name, _) in own.items() if name == "httpd"}
        for pid in chosen:
            with suppress(OSError):
                (group / "cgroup.procs").write_text(str(pid))

    return during


def _hang_up(run: Run) -> None:
    assert run.process is not None
    run.process.send_signal(signal.SIGHUP)


def _step(hours: int) -> Callable[[Run], object]:
    return lambda run: (run.place / "stepped").write_text(str(hours))


def _places() -> Iterator[Row]:
    for directory in ("/tmp", "/var/tmp", _CACHE, "$PLACE/results"):  # noqa: S108 -- the directories that are meant
        name = {_CACHE: "the cache", "$PLACE/results": "results"}.get(directory, directory)
        for kind, word in (("noexec", "noexec"), ("ro", "read-only"), ("full", "full")):
            yield Row(f"{name} {word}", f'unset TMPDIR; over "{directory}" {kind}')


ROWS: tuple[Row, ...] = (
    Row("no TERM, LANG=C", "unset TERM; export LANG=C LC_ALL=C", goes_on=True),
    Row("HOME unset", "unset HOME", goes_on=True),
    Row("HOME read-only", 'mkdir "$PLACE/home"; export HOME="$PLACE/home"; over "$HOME" ro', goes_on=True),
    Row("read-only checkout", f'over "{ROOT}" ro', goes_on=True),
    Row("another working directory", directory=Path("/"), goes_on=True),
    Row("umask 077", "umask 077", goes_on=True),
    Row("umask 0", "umask 0", goes_on=True),
    Row("closed standard input", start='exec "$@" <&-', goes_on=True),
    Row("closed standard output and error", start='exec "$@" >&- 2>&-', goes_on=True),
    Row("output into `head -1`", start='"$@" | head -1'),
    Row(
        "64 descriptors",
        "ulimit -n 64",
        without=("worker_states", "instruments/worker_states.csv", "instruments/wchan.json"),
    ),
    *_places(),
    Row("SIGHUP", during=_hang_up),
    Row("SIGHUP under nohup", start='exec nohup "$@"', during=_hang_up, goes_on=True),
    Row("full PID table for 6 s", during=_no_more_processes, may_fail=True),
    Row("memory limit kills httpd", during=_no_more_memory("httpd"), may_fail=True),
    Row("memory limit kills the helper", during=_no_more_memory("helper")),
    Row("memory limit kills the runner", during=_no_more_memory("runner")),
    Row("garbage from the host: provision", phase="provision", during=_said("garbage")),
    Row("garbage from the host: hand over", phase="hand over", during=_said("garbage")),
    Row("garbage from the host: compare hosts", phase="compare hosts", during=_said("garbage")),
    Row("a host that answers 3 s late, always", host="slow", goes_on=True),
    Row("no answer for ever: hand over", phase="hand over", during=_said("for ever")),
    Row("no answer for ever: compare hosts", phase="compare hosts", during=_said("for ever")),
    Row("the host's clock steps an hour on", host="clock", during=_step(1)),
    Row("the host's clock steps an hour back", host="clock", during=_step(-1)),
    Row("the runner's clock steps an hour on", 'export LD_PRELOAD="$PLACE/step.so"', host="own clock", during=_step(1)),
    Row(
        "the runner's clock steps an hour back",
        'export LD_PRELOAD="$PLACE/step.so"',
        host="own clock",
        during=_step(-1),
    ),
    Row("runner and Ansible stopped for 2 min", during=_stop(_runners)),
    Row("all processes stopped for 2 min", during=_stop(lambda run: sorted(run.processes()))),
)


def one(row: Row, place: Path, want: dict[str, Any]) -> Seen:
    """Have a run meet a row, go on with it, and return what became of it."""
    began, seen = time.monotonic(), Seen(row.name)
    place.mkdir()
    run = Run(place)
    try:
        with _dressed(run, row):
            _one(run, row, seen, want)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError, ValueError, KeyError) as err:
        seen.trouble.append(f"{type(err).__name__}: {err}")
    finally:
        for pid in run.processes() if seen.trouble else ():
            matrix.send(pid, signal.SIGKILL)
    seen.took_s = time.monotonic() - began
    return seen


@contextmanager
def _dressed(run: Run, row: Row) -> Iterator[None]:
    """Prepare what a row needs beside the runner, and take its control groups away again."""
    python = run.place / "python"
    python.write_text(_PYTHON.format(place=run.place))
    python.chmod(0o755)
    if row.host:
        (run.place / "fault").write_text(row.host)
    if "clock" in row.host:
        argv = ["cc", "-shared", "-fPIC", "-O1", f'-DSTEPPED="{run.place}/stepped"', "-o", str(run.place / "step.so")]
        subprocess.run([*argv, str(ROOT / "tests/rigs/clock_skew.c"), "-ldl"], check=True)
        (run.place / "preload").write_text(f"{run.place}/step.so\n")
    inventory = run.place / "inventory.yml"
    inventory.write_text(inventory.read_text().replace("/usr/bin/python3", str(python)))
    try:
        yield
    finally:
        for group in [p for kind in ("pids", "memory") for p in (_CGROUPS / kind).rglob(f"cgl-{run.place.name}")]:
            for pid in (group / "cgroup.procs").read_text().split():
                with suppress(OSError):
                    (group.parent / "cgroup.procs").write_text(pid)
            with suppress(OSError):
                group.rmdir()


def _one(run: Run, row: Row, seen: Seen, want: dict[str, Any]) -> None:
    around = f'PLACE="{run.place}"\n{_OVER}\n{row.around}\n{row.start}'
    run.start(*row.words, around=around, directory=row.directory)
    if row.during is not None:
        if matrix.wait(run, row.phase):
            row.during(run)
        else:
            seen.trouble.append("the run never came to this phase")
    seen.ended = run.end()
    said = run.output()
    errors = re.findall(r"^error: (.*)", said, re.MULTILINE)
    seen.error = errors[-1] if errors else ""
    if row.goes_on and seen.ended:
        seen.trouble.append(f"it ended with {seen.ended}: {seen.error}")
    if len(errors) > 1:
        seen.trouble.append(f"{len(errors)} errors in place of one: {errors}")
    for name in ("fault", "stepped"):
        (run.place / name).unlink(missing_ok=True)
    before = run.kept()
    if run.directory.is_dir():
        seen.trouble += matrix.unreadable(run)
    for _ in range(3):
        if not _is_pending(run) and (row.may_fail or len(run.kept()) >= want["complete"]):
            break
        run.start(*(("--resume", str(run.directory)) if (run.directory / "state.json").exists() else ()))
        run.end()
    after = run.kept()
    seen.lost = sum(1 for name, when in before.items() if after.get(name) != when)
    seen.trouble += matrix.differs(matrix.described(run), _wanted(run, row, want), failed_is_fine=row.may_fail)
    seen.trouble += matrix.left(run)
    if "Traceback" in run.output():
        seen.trouble.append("a traceback")


def _wanted(run: Run, row: Row, want: dict[str, Any]) -> dict[str, Any]:
    """Return what is wanted of a row: less the files of an instrument of which each trial says why it did not run."""
    if not row.without:
        return want
    instrument, *lacking = row.without
    told = [
        json.loads(path.read_text())["instruments"][instrument] for path in run.directory.glob("trials/*/result.json")
    ]
    if not told or any(state["state"] != "unavailable" or not state["reason"] for state in told):
        return want
    return {**want, "files": [name for name in want["files"] if name not in lacking]}


def _is_pending(run: Run) -> bool:
    return not (run.directory / "state.json").exists() or matrix.is_pending(run)


def copies(place: Path, want: dict[str, Any]) -> Seen:
    """Copy a run's directory at random moments while it runs, as power cuts would leave it; read and resume each."""
    seen, began, random = Seen(f"{COPIES} copies of a live run, as power cuts leave it"), time.monotonic(), Random(1)  # noqa: S311
    place.mkdir()
    run = Run(place)
    run.start()
    assert run.process is not None
    made: list[Path] = []
    while run.process.poll() is None:
        time.sleep(random.uniform(0.02, 0.4))
        if run.directory.is_dir() and len(made) < COPIES:
            made.append(place / "copies" / f"{len(made):03d}" / "faults" / run.directory.name)
            made[-1].parent.mkdir(parents=True)
            # Files come and go while they are copied.
            subprocess.run(["cp", "-a", run.directory, made[-1]], check=False, stderr=subprocess.DEVNULL)
    seen.ended = run.end()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for lost, trouble in pool.map(lambda copy: _gone_on(run, copy, want), made):
            seen.lost += lost
            seen.trouble += trouble
    if len(made) < COPIES:
        seen.error = f"{len(made)} copies were made"
    seen.took_s = time.monotonic() - began
    return seen


def _gone_on(run: Run, copy: Path, want: dict[str, Any]) -> tuple[int, list[str]]:
    """Read a copy and go on with it; return how many complete trials that lost, and what else was wrong."""
    found = _read(copy)
    name = copy.parents[1].name
    other = run.place / f"resumed-{name}"
    other.mkdir()
    again = Run(other)
    shutil.rmtree(other / "results")
    shutil.copytree(copy.parents[1], other / "results", symlinks=True)
    (other / "results" / "faults" / "latest").symlink_to(copy.name)
    before = again.kept()
    again.target = run.target  # the one that the run was planned for
    there = (again.directory / "state.json").exists()  # else nothing was written yet, and it begins anew
    around = _APART.format(own=again.work, work=run.work)
    again.start(*(("--resume", str(again.directory)) if there else ()), around=around)
    ended = again.end()
    after = again.kept()
    lost = sum(1 for trial, when in before.items() if after.get(trial) != when)
    try:
        found += [f"{name}: {t}" for t in matrix.differs(matrix.described(again), want, failed_is_fine=False)]
    except OSError as err:
        found.append(f"{name}: {err}; it ended with {ended}: {again.output().strip()[-300:]}")
    return lost, found


_READING = """\
import sys
from pathlib import Path
from cgidlab import cli
from tests.fuzz import rundir_verbs
run = sys.argv[1]
cli.main(["status", run]), cli.main(["report", run, "--format", "json"]), rundir_verbs.resumed(Path(run))
"""


def _read(copy: Path) -> list[str]:
    """Return what is wrong with how the reading verbs, and the part of `--resume` that reads, take a copy."""
    argv = [sys.executable, "-c", _READING, str(copy)]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return [] if ran.returncode == 0 else [f"{copy.parents[1].name}: {ran.stderr.strip().splitlines()[-1]}"]


def together(place: Path, want: dict[str, Any]) -> Seen:
    """Have two runs of one experiment keep their results in one directory at the same time."""
    seen, began = Seen("two runs, one results directory"), time.monotonic()
    runs = []
    for name in ("first", "second"):
        (place / name).mkdir(parents=True)
        runs.append(Run(place / name))
    runs[1].results = runs[0].results
    for run in runs:
        run.start()
    ended = [run.end() for run in runs]
    seen.ended = max(ended)
    found = sorted(p for p in (runs[0].results / "faults").iterdir() if not p.is_symlink())
    if any(ended) or len(found) != len(runs):
        seen.trouble.append(f"ended with {ended} and left {[p.name for p in found]}: {runs[1].output()[-300:]}")
    for directory, run in zip(found, runs, strict=False):
        run.named = directory
        seen.trouble += matrix.differs(matrix.described(run), want, failed_is_fine=False)
        seen.trouble += matrix.left(run)
    seen.took_s = time.monotonic() - began
    return seen


def line(seen: Seen) -> str:
    """Return what became of a row in one line."""
    word = "survived" if seen.survived else "NOT SURVIVED: " + "; ".join(seen.trouble)
    return (
        f"{seen.name}: ended with {seen.ended}{f' ({seen.error})' if seen.error else ''}; {word} ({seen.took_s:.0f} s)"
    )


def table(names: Sequence[str], found: Mapping[str, Seen]) -> str:
    """Return all rows as Markdown; one that was not run yet says so."""
    lines = ["| what is not as usual | the run | |", "| --- | --- | --- |"]
    for name in names:
        seen = found.get(name)
        if seen is None:
            lines.append(f"| {name} | not run | |")
            continue
        how = "went on" if seen.ended == 0 else f"ended with {seen.ended}"
        error = re.sub(r"/\S*/(?=[^/\s]+)", "", seen.error).replace("|", "\\|")[:120]
        word = "survived" if seen.survived else "**not survived**"
        lines.append(f"| {seen.name} | {how}{f': {error}' if error else ''} | {word} |")
    return "\n".join(lines)


def write(path: Path, names: Sequence[str], known: Mapping[str, Seen]) -> None:
    """Put the rows into a document, between their marks."""
    head, _, rest = path.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    found = [known[name] for name in names if name in known]
    survived, lost = sum(s.survived for s in found), sum(s.lost for s in found)
    closing = f"{len(names)} rows, {len(found)} run, {survived} survived, {lost} complete trials lost."
    path.write_text(f"{head}{BEGIN}\n\n{table(names, known)}\n\n{closing}\n\n{END}{tail}")


def main(argv: Sequence[str]) -> int:
    """Run the rows; return 0 if all were survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="only rows whose name holds this; may be repeated")
    parser.add_argument("--keep", type=Path, help="a file for the results; rows that survived in it are not run again")
    parser.add_argument("--write", type=Path, help="a document to put the table into")
    args = parser.parse_args(argv)
    known = {}
    if args.keep and args.keep.exists():
        kept = [Seen(**json.loads(text)) for text in args.keep.read_text().splitlines()]
        known = {seen.name: seen for seen in kept}
    ways: dict[str, Callable[[Path, dict[str, Any]], Seen]] = {
        **{row.name: lambda place, want, row=row: one(row, place, want) for row in ROWS},  # type: ignore[misc]  # a default has no type
        "two runs, one results directory": together,
        f"{COPIES} copies of a live run, as power cuts leave it": copies,
    }
    chosen = [
        n for n in ways if any(text in n for text in args.only or [""]) and not (n in known and known[n].survived)
    ]
    with tempfile.TemporaryDirectory(prefix="cgl-faults-", ignore_cleanup_errors=True) as directory:
        want = matrix.undisturbed(Path(directory) / "undisturbed") if chosen else {}
        for number, name in enumerate(chosen):
            known[name] = seen = ways[name](Path(directory) / f"{number:03d}", want)
            sys.stdout.write(line(seen) + "\n")
            sys.stdout.flush()
            if args.keep:
                with args.keep.open("a") as file:
                    file.write(json.dumps(asdict(seen)) + "\n")
    found = [known[name] for name in ways if name in known]
    if args.write:
        write(args.write, list(ways), known)
    return 0 if all(seen.survived for seen in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
