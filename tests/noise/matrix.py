"""Is a neighbour seen wherever one runs, and alike beside every cell? Prints a table; `make noise`.

python -m tests.noise.matrix [--write FILE]. Root; ten minutes on a quiet machine, since each row waits for one.

Neighbours of three loads, that last or live for a moment, are inside the PID namespace of the trials or outside of it,
where /proc does not show them; the trials are beside them busy, idle, or with a dead daemon. Real trials, real
processes, a real control group; where the machine has none to give, or one is taken away, it must be said so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from cgidlab.design.specform import DEFAULT_MAX_OUTSIDER_CPU, DEFAULT_MAX_SLOWDOWN, DEFAULT_MAX_STEAL
from cgidlab.instruments import sentinel
from cgidlab.measure.noise import disturbance
from cgidlab.model import Figures, NoisePolicy
from cgidlab.parsers.documents import parse_sentinel
from tests import workers
from tests.e2e.cgidhost_rig import Rig
from tests.noise.neighbours import neighbours

POLICY = NoisePolicy(DEFAULT_MAX_OUTSIDER_CPU, DEFAULT_MAX_STEAL, 0, DEFAULT_MAX_SLOWDOWN)
LOADS = (0.5, 1.0, 2.0)
CELLS: Mapping[str, Mapping[str, Any]] = {
    "busy": {"clients": 60},
    "idle": {"clients": 2, "script": "sleep", "sleep_ms": 20},
    "dead daemon": {
        "clients": 60,
        "fault": {"action": "freeze_cgid", "at_s": 0.1, "for_s": 0.8},
    },
}
QUIET, PATIENCE_S = 0.15, 120.0
# The trials' own processes are all that these see; the second has no control group to write to.
_APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"]
_READ_ONLY = """
while read -r _ _ _ _ point _; do
  case "$point" in /sys/fs/cgroup*) mount -o remount,bind,ro "$point" || true;; esac
done < /proc/self/mountinfo
"""


@dataclass(frozen=True)
class Seen:
    """What the sentinel made of one trial."""

    used: float | None
    wanted: float | None
    said: str | None


def seen(document: bytes) -> Seen:
    """Return what is known of a trial from its sentinel.json."""
    found = parse_sentinel(document, where="sentinel.json")
    used, wanted, _ = sentinel.outsiders(found)
    return Seen(used, wanted, disturbance(Figures(outsider_cpu_share=used, outsider_wanted_cpu_share=wanted), POLICY))


@contextmanager
def container(rig: Rig, *, read_only: bool = False) -> Iterator[Rig]:
    """Give a rig whose helper runs in a PID and a mount namespace of its own."""
    with subprocess.Popen(_APART) as keeper:
        inner = Rig(rig.host, rig.work)
        try:
            first = _child(keeper.pid)
            inner.prefix = ["nsenter", f"--target={first}", "--pid", "--mount", "--"]
            if read_only:
                subprocess.run([*inner.prefix, "sh", "-c", _READ_ONLY], check=True)
            yield inner
        finally:
            keeper.kill()


def _child(pid: int) -> int:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 10
    while not (found := path.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.01)  # nothing tells that it has forked
    return int(found[0])


def busy_cores(for_s: float = 0.5) -> float:
    """Return how many cores of this machine are in use."""

    def idle() -> int:
        return sum(int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[4:6])

    cores = subprocess.check_output(["getconf", "_NPROCESSORS_ONLN"], text=True)
    before = idle()
    time.sleep(for_s)
    return int(cores) - (idle() - before) / 100 / for_s


def wait_until_quiet() -> bool:
    """Return whether the machine became quiet in time."""
    deadline = time.monotonic() + PATIENCE_S
    while busy_cores() > QUIET:
        if time.monotonic() > deadline:
            return False
    return True


def run(rig: Rig, name: str, cells: Sequence[str]) -> dict[str, Seen]:
    """Run the cells once each in one block and return what the sentinel says of them."""
    directory = rig.write(name, [rig.trial(n, **CELLS[cell]) for n, cell in enumerate(cells, start=1)])
    rig.start(directory)
    found = {}
    for number, cell in enumerate(cells, start=1):
        outcome = rig.outcome(directory, number)
        if outcome.entry["ended"] != "complete":
            raise SystemExit(f"{name}, {cell}: {outcome.result['reason']}")
        found[cell] = seen(outcome.files["instruments/sentinel.json"])
    rig.say("cleanup", "--dir", str(directory))
    return found


def rows(rig: Rig) -> Iterator[tuple[str, str, float, dict[str, Seen], bool]]:
    """Yield where the neighbour is, what kind, its cores, what was seen, and whether the machine was else quiet."""
    kinds = [("none", 0.0, False), *((k, c, k == "short-lived") for k, c in product(("lasting", "short-lived"), LOADS))]
    for place, (kind, cores, short_lived) in product(("inside", "outside", "outside, no group"), kinds):
        quiet = wait_until_quiet()
        name = f"{place}-{kind}-{cores:g}".replace(" ", "-").replace(",", "")
        if place == "inside":
            with neighbours(cores, short_lived=short_lived):
                found = run(rig, name, tuple(CELLS))
        else:
            with container(rig, read_only="group" in place) as inner, neighbours(cores, short_lived=short_lived):
                found = run(inner, name, tuple(CELLS))
        yield place, kind, cores, found, quiet


def wrong(place: str, cores: float, found: dict[str, Seen], *, quiet: bool) -> str:
    """Return what a row shows that must not be, '' where it is as it has to be."""
    known = {cell: s.used is not None for cell, s in found.items()}
    if set(known.values()) != {"no group" not in place}:
        return "a control group is not known as it is"
    flagged = {cell: s.said is not None for cell, s in found.items()}
    if len(set(flagged.values())) > 1 and (quiet or cores > POLICY.max_outsider_cpu):  # type: ignore[operator]  # it has one
        return f"flagged by its cell: {flagged}"
    if cores and not all(flagged.values()):
        return "not flagged"
    return "flagged without a neighbour" if quiet and not cores and any(flagged.values()) else ""


def main() -> int:
    """Run all rows; return 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write what was seen as JSON")
    args = parser.parse_args()
    seen_rows, failed = [], 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        host = workers.provision(Path(tempfile.mkdtemp(dir=work)))
        rig = Rig(host, Path(work))
        print("| where | neighbour | cores | " + " | ".join(f"{cell}: used, wanted" for cell in CELLS) + " | |")
        print("| --- | --- | --- |" + " --- |" * (len(CELLS) + 1))
        for place, kind, cores, found, quiet in rows(rig):
            fault = wrong(place, cores, found, quiet=quiet)
            failed += bool(fault)
            figures = " | ".join(
                f"{_shown(s.used)}, {_shown(s.wanted)}{' !' if s.said else ''}" for s in found.values()
            )
            note = fault or ("" if quiet else "the machine was not quiet")
            print(f"| {place} | {kind} | {cores:g} | {figures} | {note} |", flush=True)
            seen_rows.append({"where": place, "kind": kind, "cores": cores, "quiet": quiet, "fault": fault,
                              "cells": {cell: vars(s) for cell, s in found.items()}})  # fmt: skip
    if args.write:
        args.write.write_text(json.dumps(seen_rows, indent=1) + "\n")
    return 1 if failed else 0


def _shown(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
