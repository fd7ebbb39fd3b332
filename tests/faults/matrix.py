"""The fault matrix: breaks small real runs at every phase in every way, goes on with each, and counts what was lost.

    python -m tests.faults.matrix [--jobs N] [--only TEXT]... [--write docs/reliability.md]

Needs root and a provisioned host (`make faults` sees to that). A fault has survived when the run directory
could be read right after it, `--resume` brought the run to its end, its results equal those of an undisturbed run in
number and schema, no trial that was complete before changed, and nothing of the run is left on the machine.
"""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.reach import let_pass

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = """\
schema_version: 1
name: faults
question: Does what breaks leave anything behind, or lose anything?
factors: {listen_backlog: [5, 1024]}
settings: {workers: 50, threads_per_child: 25, somaxconn: 2048}
load: {loop: closed, driver: h2load, clients: 10}
warmup_s: 0.3
window_s: 1.5
repetitions: 1
seed: 1
noise: ignore
verdict: {factor: listen_backlog, reference: 1024}
"""
_WAIT_S = 1500.0  # a block that says nothing is given up after five minutes, and run again once
_HANG_S = 1.0
BEGIN, END = "<!-- matrix: written by make faults -->", "<!-- end of the matrix -->"
PHASES = ("provision", "hand over", "start", "load", "collect", "next trial", "compare hosts", "verdict")
FAULTS = (
    "kill runner",
    "kill ansible-playbook",
    "kill helper",
    "kill httpd",
    "kill driver",
    "kill sampler",
    "kill all at once",
    "hang helper",
    "Ctrl-C",
    "disk full: results",
    "disk full: host",
)
# What there is to kill, phase by phase: httpd, driver and sampler live in a trial.
_IN_TRIAL = {"kill httpd", "kill driver", "kill sampler"}
_ON_HOST = {"kill helper", "hang helper", "kill all at once", "disk full: host"}


@dataclass(frozen=True, slots=True)
class Case:
    """One fault in one phase."""

    phase: str
    fault: str

    @property
    def name(self) -> str:
        """Return how it is called."""
        return f"{self.fault}, {self.phase}"


@dataclass(slots=True)
class Result:
    """What became of a run in which a fault was injected."""

    case: Case
    injected: bool = False
    lost: int = 0  # complete trials that were changed or are gone
    trouble: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def survived(self) -> bool:
        """Say whether everything that a fault must not touch is as it should be."""
        return self.injected and not self.lost and not self.trouble


def cases() -> tuple[Case, ...]:
    """Return every fault in every phase in which there is something to break."""
    in_block = ("start", "load", "collect", "next trial")
    found = []
    for phase in PHASES:
        for fault in FAULTS:
            if fault in _IN_TRIAL and phase != "load" and not (fault == "kill httpd" and phase == "next trial"):
                continue
            if fault in _ON_HOST and phase not in in_block:
                continue
            if fault == "kill ansible-playbook" and phase == "verdict":
                continue
            found.append(Case(phase, fault))
    # faults by turns, so that runs that go on at once are in different phases
    return tuple(sorted(found, key=lambda c: (FAULTS.index(c.fault) + PHASES.index(c.phase)) % len(FAULTS)))


class Run:
    """One run in directories of its own, and everything that is known of it from outside."""

    def __init__(self, place: Path) -> None:
        self.place = let_pass(place)
        self.process: subprocess.Popen[bytes] | None = None
        self.mounted: list[Path] = []
        self.results, self.target = place / "results", place / "inventory.yml"
        self.named: Path | None = None  # where `latest` may be another's
        for name in ("work", "results", "tmp"):
            (place / name).mkdir()
        (place / "faults.yml").write_text(EXPERIMENT)
        hosts = {"local": None}
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "host_work_dir": str(place / "work"),
        }
        groups = {"servers": {"hosts": hosts}, "generators": {"hosts": hosts}}
        (place / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups, "vars": variables}}))

    @property
    def work(self) -> Path:
        """Return the host's work directory."""
        return self.place / "work"

    @property
    def directory(self) -> Path:
        """Return the run directory."""
        return self.named or (self.results / "faults" / "latest").resolve()

    def start(self, *words: str, around: str = "", directory: Path = ROOT) -> None:
        """Start the runner from a directory, within a shell's words around it in a mount namespace if there are any."""
        shell = ("unshare", "--mount", "sh", "-c", around, "sh") if around else ()
        with (self.place / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(*shell, sys.executable, str(ROOT / "runner.py"), str(self.place / "faults.yml")),
                    *("--uncalibrated", "--target", str(self.target), "--results", str(self.results), *words),
                ],
                cwd=directory,
                env={**os.environ, "TMPDIR": str(self.place / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def end(self) -> int:
        """Wait for the runner and return its exit status."""
        assert self.process is not None
        return self.process.wait(_WAIT_S)

    def output(self) -> str:
        """Return what all runners of this run said."""
        return (self.place / "output").read_text(errors="replace")

    def processes(self) -> dict[int, tuple[str, int]]:
        """Return name and parent of all processes that carry this run's place in command line or environment."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
                name = (path / "comm").read_text().strip()
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if f"{self.place}/".encode() in words and fields[0] not in "ZX":
                found[int(path.name)] = (name, int(fields[1]))
        return found

    def kept(self) -> dict[str, int]:
        """Return the complete trials of the run, and when each was done."""
        found = {}
        for path in self.directory.glob("trials/[0-9]*/outcome.json"):
            with suppress(OSError, ValueError):
                if json.loads(path.read_text())["status"] == "complete":
                    found[path.parent.name] = path.stat().st_mtime_ns
        return found

    def has_come_to(self, phase: str) -> bool:
        """Say whether the run is in a phase, or past its begin."""
        directory = self.results / "faults" / "latest"
        looks: dict[str, Callable[[], object]] = {
            "provision": lambda: any(directory.glob("ansible/provision*/artifacts")),
            "hand over": lambda: any(directory.glob("ansible/block-001*/vars.json")),
            "start": lambda: any(self.work.glob("*/001")),
            "load": lambda: any(p.stat().st_size for p in self.work.glob("*/001/load/rows.log")),
            "collect": lambda: any(self.work.glob("*/001.tar.gz*")),
            "next trial": lambda: any(p.stat().st_size for p in self.work.glob("*/002/load/rows.log")),
            "compare hosts": lambda: any(directory.glob("ansible/snapshot*/artifacts")),
            "verdict": (directory / "differences.json").exists,
        }
        return bool(looks[phase]())


def wait(run: Run, phase: str) -> bool:
    """Wait for a phase; say whether the run came to it."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        with suppress(OSError):  # a file that went between two looks at it
            if run.has_come_to(phase):
                return True
        if time.monotonic() > deadline or (run.process is not None and run.process.poll() is not None):
            return False
        time.sleep(0.005)  # nothing announces a phase


def inject(run: Run, case: Case) -> bool:
    """Break something of a run; say whether there was something to break."""
    assert run.process is not None
    if case.fault.startswith("disk full"):
        _fill(run, run.work if case.fault.endswith("host") else run.directory)
        return True
    if case.fault in {"kill runner", "Ctrl-C"}:
        run.process.send_signal(signal.SIGKILL if case.fault == "kill runner" else signal.SIGINT)
        return True
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        hit = victims(run, case.fault)
        if hit:
            number = signal.SIGSTOP if case.fault == "hang helper" else signal.SIGKILL
            if case.fault == "kill all at once":
                for pid in hit:  # none of them may notice the others' end
                    send(pid, signal.SIGSTOP)
            sent = [send(pid, number) for pid in hit]
            return any(sent)
        time.sleep(0.005)
    return False


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; say whether there was anybody to send it to."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def victims(run: Run, fault: str) -> list[int]:
    """Return the processes that a fault hits."""
    assert run.process is not None
    own = run.processes()
    if fault == "kill all at once":
        return sorted(own)
    if fault == "kill ansible-playbook":
        return [pid for pid, (_, parent) in own.items() if parent == run.process.pid]
    block = _block(run)
    if fault in {"kill helper", "hang helper"}:
        return [block] if block in own else []
    if fault == "kill httpd":
        return [
            pid for pid, (name, parent) in own.items() if name == "httpd" and own.get(parent, ("", 0))[0] != "httpd"
        ]
    if fault == "kill driver":
        return [pid for pid, (name, _) in own.items() if name == "h2load"]
    inside = {pid for pid, (name, _) in own.items() if name.startswith("python") and _below(pid, block, own)}
    parents = {parent for _, parent in own.values()}
    return [pid for pid in inside if pid not in parents]  # the sampler starts nothing


def _block(run: Run) -> int:
    for path in run.work.glob("*-block-*/lock"):
        with suppress(OSError, ValueError):
            return int(json.loads(path.read_text())["pid"])
    return -1


def _below(pid: int, ancestor: int, own: dict[int, tuple[str, int]]) -> bool:
    while pid in own and pid != ancestor:
        pid = own[pid][1]
    return pid == ancestor


def _fill(run: Run, directory: Path) -> None:
    """Have every further write below a directory fail: a file system without room is mounted over what there is."""
    own = run.processes()
    for pid in own:  # what is written between the copy and the mount would be lost by us and not by the fault
        send(pid, signal.SIGSTOP)
    try:
        full = run.place / "full"
        full.mkdir()
        pages = sum(1 + -(-p.lstat().st_size // 4096) for p in directory.rglob("*"))
        size = f"size={4 * (pages + 16)}k,mode=711"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", full], check=True)
        subprocess.run(["cp", "-a", f"{directory}/.", full], check=True)
        with suppress(OSError), (full / ".filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        subprocess.run(["mount", "--move", full, directory], check=True)
        run.mounted.append(directory)
    finally:
        for pid in own:
            send(pid, signal.SIGCONT)


def _make_room(run: Run) -> None:
    """Take the full file system away again; what was written to it meanwhile is kept."""
    for directory in run.mounted:
        saved = run.place / "saved"
        (directory / ".filler").unlink(missing_ok=True)
        subprocess.run(["cp", "-a", f"{directory}/.", saved], check=True)
        subprocess.run(["umount", "--lazy", directory], check=True)
        for path in directory.iterdir():  # what was removed meanwhile is to stay so
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        subprocess.run(["cp", "-a", f"{saved}/.", directory], check=True)
    run.mounted.clear()


def one(case: Case, place: Path, want: dict[str, Any]) -> Result:
    """Inject one fault, go on with the run, and return what became of it."""
    began = time.monotonic()
    result = Result(case)
    place.mkdir()
    run = Run(place)
    try:
        _one(run, result, want)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError, ValueError, KeyError) as err:
        result.trouble.append(f"{type(err).__name__}: {err}")
    finally:
        for directory in run.mounted:
            subprocess.run(["umount", "--lazy", directory], check=False)
        for pid in run.processes() if result.trouble else ():
            send(pid, signal.SIGKILL)
    result.took_s = time.monotonic() - began
    return result


def _one(run: Run, result: Result, want: dict[str, Any]) -> None:
    case = result.case
    run.start()
    if not wait(run, case.phase):
        result.trouble.append("the run never came to this phase")
        return
    result.injected = inject(run, case)
    if case.fault == "hang helper":
        block = _block(run)
        time.sleep(_HANG_S)
        send(block, signal.SIGCONT)
    run.end()
    _make_room(run)
    before = run.kept()
    result.trouble += unreadable(run)
    for _ in range(3):  # a run that was finished with a failed trial is finished; one that was broken goes on
        if not is_pending(run) and (case.fault in _IN_TRIAL or len(run.kept()) >= want["complete"]):
            break
        run.start("--resume", str(run.directory))
        run.end()
    after = run.kept()
    result.lost = sum(1 for name, when in before.items() if after.get(name) != when)
    result.trouble += differs(described(run), want, failed_is_fine=case.fault in _IN_TRIAL)
    result.trouble += left(run)
    if "Traceback" in run.output():
        result.trouble.append("a traceback")


def is_pending(run: Run) -> bool:
    """Say whether a run is to go on."""
    state = json.loads((run.directory / "state.json").read_text())["state"]
    return bool(state != "finished" or not (run.directory / "summary.json").exists())


def unreadable(run: Run) -> list[str]:
    """Return what cannot be read of a run right after a fault; names with a dot are half of a write."""
    found = []
    for path in run.directory.rglob("*.json"):
        if path.name.startswith(".") or any(p.startswith(".") for p in path.relative_to(run.directory).parts):
            continue
        try:
            json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError as err:
            found.append(f"{path.relative_to(run.directory)} is torn: {err}")
    argv = [sys.executable, "runner.py", "status", str(run.directory), "--format", "json"]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_WAIT_S)
    return [*found, *([] if ran.returncode == 0 else [f"status: {ran.stderr.strip()}"])]


def described(run: Run) -> dict[str, Any]:
    """Return what a disturbed run must have in common with an undisturbed one."""
    rows = list(csv.DictReader((run.directory / "trials.csv").open()))
    summary = json.loads((run.directory / "summary.json").read_text())
    done = [r for r in rows if r["status"] == "complete"]
    return {
        "complete": len({r["directory"].rpartition("-b")[0][4:] for r in done}),
        "not complete": len(rows) - len(done),
        "columns": list(rows[0]) if rows else [],
        "files": sorted(
            {
                str(p.relative_to(d))
                for r in done
                for d in [run.directory / r["directory"]]
                for p in d.rglob("*")
                if p.is_file()
            }
        ),
        "summary": sorted(summary),
        "state": json.loads((run.directory / "state.json").read_text())["state"],
    }


def differs(found: dict[str, Any], want: dict[str, Any], *, failed_is_fine: bool) -> list[str]:
    """Return what two descriptions do not have in common.

    A trial whose own program was killed may stay failed, with its reason: that
    is its result. Records of tries that failed may lie beside complete ones.
    """
    trouble = [
        f"{k}: {found[k]}, want {v}" for k, v in want.items() if k not in {"complete", "not complete"} and found[k] != v
    ]
    complete, other = found["complete"], found["not complete"]
    if complete < want["complete"] and not (failed_is_fine and complete + other >= want["complete"]):
        trouble.append(f"{complete} trials complete, want {want['complete']}")
    return trouble


def left(run: Run) -> list[str]:
    """Return what a run left on the machine that it should not have."""
    deadline = time.monotonic() + 30
    while run.processes() and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel is ending them
    found = [f"process {pid} ({name}) is left" for pid, (name, _) in run.processes().items()]
    found += [f"{p} is left" for p in run.work.iterdir() if p.name != "lock"]
    found += [f"{p} is left" for p in (run.place / "tmp").iterdir()]
    found += [f"{p} is left" for p in Path("/run").glob("cgid-*") if str(run.place) in _owner(p)]
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found += [f"{p} is mounted" for p in points if p.startswith(f"{run.place}/")]
    summary = json.loads((run.directory / "summary.json").read_text())
    for host in (summary["hosts"] or {}).values():
        found += host["run"]  # sysctls, bpf programs and the like, by the run's own comparison
    return found


def _owner(path: Path) -> str:
    with suppress(OSError):
        return str((path / "owner").readlink())
    return ""


def undisturbed(place: Path) -> dict[str, Any]:
    """Run once without a fault and return what that gives."""
    place.mkdir()
    run = Run(place)
    run.start()
    code = run.end()
    if code != 0 or left(run):
        raise SystemExit(f"the undisturbed run ended with {code}: {left(run)}\n{run.output()}")
    return described(run)


def table(results: Sequence[Result]) -> str:
    """Return the matrix as Markdown: phases across, faults down."""
    by_case = {(r.case.phase, r.case.fault): r for r in results}

    def cell(phase: str, fault: str) -> str:
        result = by_case.get((phase, fault))
        if result is None:
            return "not run" if Case(phase, fault) in cases() else "-"
        return "survived" if result.survived else "not injected" if not result.injected else "**not survived**"

    lines = [f"| fault | {' | '.join(PHASES)} |", f"| --- |{' --- |' * len(PHASES)}"]
    lines += [f"| {fault} | {' | '.join(cell(phase, fault) for phase in PHASES)} |" for fault in FAULTS]
    return "\n".join(lines)


def closing(results: Sequence[Result], took_s: float) -> str:
    """Return the figures of a matrix in one line."""
    injected = [r for r in results if r.injected]
    survived = sum(r.survived for r in injected)
    lost = sum(r.lost for r in results)
    return (
        f"{len(injected)} faults injected, {survived} survived, {lost} complete trials lost, in {took_s / 60:.0f} min"
    )


def write(path: Path, results: Sequence[Result], took_s: float) -> None:
    """Put the matrix into a document, between its marks."""
    text = path.read_text()
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(f"{head}{BEGIN}\n\n{table(results)}\n\n{closing(results, took_s)}.\n\n{END}{tail}")


def main(argv: Sequence[str]) -> int:
    """Run the matrix; return 0 if every fault could be injected and was survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each in directories of its own")
    parser.add_argument("--only", action="append", help="only faults whose name holds this; may be repeated")
    parser.add_argument("--keep", type=Path, help="a file for the results; faults that are in it are not run again")
    parser.add_argument("--write", type=Path, help="a document to put the table into")
    args = parser.parse_args(argv)
    known = _read(args.keep)
    chosen = [c for c in cases() if c not in known and any(text in c.name for text in args.only or [""])]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cgl-faults-", ignore_cleanup_errors=True) as directory:
        place = Path(directory)
        want = undisturbed(place / "undisturbed")
        run_all(chosen, place, want, args.jobs, lambda r: _note(r, known, args.keep))
    results = list(known.values())
    took_s = time.monotonic() - began
    _say(f"\n{table(results)}\n\n{closing(results, took_s)}")
    if args.write:
        write(args.write, results, took_s)
    return 0 if all(r.survived for r in results) else 1


def _note(result: Result, known: dict[Case, Result], keep: Path | None) -> None:
    known[result.case] = result
    _say(line(result))
    if keep:
        with keep.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _read(keep: Path | None) -> dict[Case, Result]:
    if keep is None or not keep.exists():
        return {}
    raw = [json.loads(text) for text in keep.read_text().splitlines()]
    found = [Result(**{**entry, "case": Case(**entry["case"])}) for entry in raw]
    return {result.case: result for result in found}


def run_all(
    chosen: Sequence[Case], place: Path, want: dict[str, Any], jobs: int, said: Callable[[Result], None]
) -> list[Result]:
    """Inject several faults, some at once, and return what became of each in the order of `chosen`."""
    with ThreadPoolExecutor(jobs) as pool:
        begun = [pool.submit(one, case, place / f"{n:03d}", want) for n, case in enumerate(chosen)]
        for done in as_completed(begun):
            said(done.result())
    return [done.result() for done in begun]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def line(result: Result) -> str:
    """Return a result in one line."""
    word = "survived" if result.survived else "NOT SURVIVED: " + "; ".join(result.trouble or ["nothing to break"])
    return f"{result.case.name}: {word} ({result.took_s:.0f} s)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
