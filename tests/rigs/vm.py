"""What other kernels do with the queue: virtual machines with Debian's kernels, provisioned over SSH, for trials.

    .venv/bin/python -m tests.rigs.vm matrix DIR [SUITE...]   the table for the kernels of these suites
    .venv/bin/python -m tests.rigs.vm boot DIR SUITE          one machine until Enter is pressed; prints its inventory
    .venv/bin/python -m tests.rigs.vm table DIR               the table of what was found, again

DIR keeps root, kernels, disks and results (3 GB, and 1 GB a kernel). GUEST_ACCEL=kvm where KVM works; the default,
tcg, is software emulation: right for what a kernel does, useless for how fast it does it.
"""

import argparse
import contextlib
import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cgidlab.instruments import WITNESSES
from tests.rigs import guest as guests

SUITES = ("bullseye", "bookworm", "trixie", "trixie-backports", "sid")
EXPERIMENT = guests.REPO / "tests" / "experiments" / "two-trials.yml"
PROGRAMS = (*guests.PROGRAMS, "qemu-system-x86_64", "qemu-img")
_QUEUE_PROBE = guests.REPO / "tests" / "rigs" / "queue_probe.py"


@contextlib.contextmanager
def booted(work: Path, suite: str) -> Iterator[guests.Guest]:
    """Boot the root with the kernel of a suite from a fresh copy of its disk; the machine ends with the block."""
    directory = guests.kernel(work, suite)
    disk = directory / "disk.img"
    if not disk.exists():
        guests.make_disk(work / "root", directory / "modules", disk)
    overlay, log = directory / "overlay.qcow2", directory / "console.log"
    overlay.unlink(missing_ok=True)
    guests.call("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, overlay)
    machine = guests.Guest("guest", "127.0.0.1", guests.free_port(), work)
    argv = [
        *(
            "qemu-system-x86_64",
            "-accel",
            os.environ.get("GUEST_ACCEL", "tcg"),
            "-smp",
            "2",
            "-m",
            "1024",
            "-cpu",
            "max",
        ),
        *("-kernel", directory / "vmlinuz", "-initrd", directory / "initrd"),
        *("-append", "console=ttyS0 net.ifnames=0 quiet"),
        *("-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{machine.port}-:22", "-device", "virtio-net-pci,netdev=net"),
        *("-nographic", "-no-reboot", "-nodefaults", "-serial", f"file:{log}"),
    ]
    guests.say(f"booting {(directory / 'release').read_text().strip()}")
    with (directory / "qemu.log").open("wb") as stream:
        process = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        guests.say(f"SSH answers after {machine.wait(process, log):.0f} s")
        yield machine
    finally:
        guests.end(process)


def prepare(work: Path) -> None:
    """Make the root and run the project's provisioning in it, once."""
    guests.check(PROGRAMS)
    root, done = guests.make_root(work), work / "provisioned.done"
    if not done.exists():
        guests.say("provisioning the root (packages, httpd: some minutes)")
        with guests.served(root, work) as machine:
            guests.provision(machine, work, (EXPERIMENT,))
        done.touch()


def examine(work: Path, suite: str) -> dict[str, Any]:
    """Boot one kernel, ask it, run the controls and the small sweep on it; return and keep what was found."""
    results = work / "results" / suite
    with booted(work, suite) as machine:
        probed = machine.run("unshare -n python3 -", input=_QUEUE_PROBE.read_text())
        inventory = machine.write_inventory()
        words = (guests.REPO / "runner.py", EXPERIMENT, "--target", inventory, "--results", results, "--new")
        argv = [sys.executable, *(str(word) for word in words)]
        guests.say(f"running {shlex.join(argv)}")
        environment = {**os.environ, **guests.PATIENCE}
        with (work / f"run-{suite}.log").open("w") as stream:
            ran = subprocess.run(
                argv, stdout=stream, stderr=subprocess.STDOUT, check=False, cwd=guests.REPO, env=environment
            )
        helper = machine.run("ls -t /var/cache/cgidlab/helper/*/cgidhost.pyz").split()[0]
        answers = machine.run(f"python3 {helper} probe")
    found = {
        "suite": suite,
        "queue": json.loads(probed),
        "host": json.loads(answers),
        "exit_code": ran.returncode,
        **_results(results),
    }
    (work / f"found-{suite}.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def _results(results: Path) -> dict[str, Any]:
    """Return of the newest run its name and trials, and of the newest calibration its name and witnesses."""
    runs = sorted(results.glob(f"{EXPERIMENT.stem}/2*/trials.csv"))  # and not `latest`, which is no name
    calibrations = sorted(results.glob("calibration/2*/calibration.json"))
    trials: list[dict[str, str]] = []
    if runs:
        with runs[-1].open(newline="") as stream:
            trials = list(csv.DictReader(stream))
    host = json.loads(calibrations[-1].read_text())["hosts"][0] if calibrations else {"witnesses": {}, "rows": []}
    return {
        "run": runs[-1].parent.name if runs else None,
        "trials": trials,
        "calibration": calibrations[-1].parent.name if calibrations else None,
        "witnesses": host["witnesses"],
        "failed_rows": [row for row in host["rows"] if row["state"] != "pass"],
    }


def table(work: Path) -> str:
    """Return what was found in all machines as a Markdown table, oldest kernel first."""
    found = [json.loads(path.read_text()) for path in work.glob("found-*.json")]
    found.sort(key=lambda one: [int(part) for part in one["queue"]["kernel"].split("-")[0].split(".")[:2]])
    heads = ["", *(one["queue"]["kernel"] for one in found)]
    rows = [(name, [read(one) for one in found]) for name, read in _ROWS]
    lines = [heads, ["---"] * len(heads), *([name, *cells] for name, cells in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _writable(one: dict[str, Any], whose: str) -> str:
    answers = one["host"][whose].get("sysctls", {})
    return ", ".join(f"{name} {'yes' if a['ok'] else a['reason']}" for name, a in answers.items()) or "-"


def _trial(one: dict[str, Any], backlog: str) -> str:
    for row in one["trials"]:
        if row["listen_backlog"] == backlog:
            names = ("status", "queue_limit", "queue_depth_max", "workers_in_connect_max", "retries_in_window")
            status, limit, most, asleep, retries = (row[name] or "-" for name in names)
            return f"{status}: limit {limit}, most queued {most}, most asleep {asleep}, retries {retries}"
    return "-"


def _asleep(one: dict[str, Any]) -> str:
    seen = one["queue"]["full_blocking"]
    woken = "woken by one accept" if seen["woken_by_one_accept"] else "not woken by an accept"
    return f"sleeps in {seen['wchan']}, {woken}" if seen["still_asleep_after_1_s"] else f"ends: {seen['error']}"


def _witnesses(one: dict[str, Any]) -> str:
    judged = one["witnesses"]
    return "<br>".join(
        f"{w.name} {'/'.join(dict.fromkeys(judged[w.name].values()))}" for w in WITNESSES if w.name in judged
    )


_ROWS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("`listen(5)` holds", lambda one: str(one["queue"]["listen_5_holds"])),
    ("full, non-blocking `connect()`", lambda one: one["queue"]["full_nonblocking"]),
    ("full, blocking `connect()`", _asleep),
    ("`listen(100)` under somaxconn 3 holds", lambda one: str(one["queue"]["listen_100_clamped_to_3_holds"])),
    ("the same after somaxconn was raised to 50", lambda one: str(one["queue"]["after_raising_to_50_holds"])),
    ("and after another `listen(100)`", lambda one: str(one["queue"]["after_another_listen_holds"])),
    ("`listen(5)` with max_dgram_qlen 1 holds", lambda one: str(one["queue"]["with_max_dgram_qlen_1_holds"])),
    (
        "nobody listens / no such socket",
        lambda one: f"{one['queue']['nobody_listens']} / {one['queue']['no_such_socket']}",
    ),
    ("somaxconn of a new namespace", lambda one: one["queue"]["somaxconn_default"]),
    ("writable in a namespace made by root", lambda one: _writable(one, "namespaces_root")),
    ("writable in one made by an unprivileged user", lambda one: _writable(one, "namespaces_user")),
    ("witnesses by their controls", _witnesses),
    ("trial with backlog 5", lambda one: _trial(one, "5")),
    ("trial with backlog 1024", lambda one: _trial(one, "1024")),
    ("run, calibration", lambda one: f"{one['run']}, {one['calibration']}"),
)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("matrix", "boot", "table"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    args = parser.parse_args(words)
    work = args.directory.resolve()
    try:
        if args.verb != "table":
            prepare(work)
        if args.verb == "boot":
            with booted(work, args.suites[0]) as machine:
                print(machine.write_inventory(), flush=True)
                sys.stdin.readline()
            return 0
        codes = [examine(work, suite)["exit_code"] for suite in args.suites] if args.verb == "matrix" else []
        print(table(work))
    except guests.RigError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
