"""How long `make sweep` takes to its first trial on a machine with nothing, next to building the same httpd by hand.

    python -m benchmarks.first_trial [--root DIR]

The machine is a root file system made by `tests/rigs/fresh_machine.sh create`: a minimal Debian with git, make and
python3. The benchmark makes one with mmdebstrap and takes it away again; DIR is one that is there already, in which
what a run would keep is removed before. What the machine needs to reach its registries is told by the FRESH_
variables of that script.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.figures import ROOT, Row, Series

GOAL_S = 150.0
LIMIT_S = 900.0
MACHINE = ROOT / "tests" / "rigs" / "fresh_machine.sh"
CACHE = "var/cache/cgidlab"


def main() -> int:
    """Run `make sweep` in the root until its first trial, build by hand, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=os.environ.get("FRESH_ROOT"), help="default: $FRESH_ROOT")
    root = parser.parse_args().root
    if root is not None:
        _measure(Path(root).resolve())
        return 0
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        figures.say("skipped: it needs root and mmdebstrap, or --root DIR; see --help")
        return 0
    # Not where /tmp may be memory: the root and what is built in it take 2 GB.
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-", dir="/var/tmp"))
    work.chmod(0o755)
    try:
        figures.say("making a root file system")
        subprocess.run([str(MACHINE), "create", str(work / "root")], check=True)
        _measure(work / "root")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def _measure(root: Path) -> None:
    shutil.rmtree(root / CACHE, ignore_errors=True)
    took_s, spans = _sweep(root)
    by_hand_s = _by_hand(root)
    ends_s = {**spans, "the controls, up to the first trial": took_s}
    parts = zip(ends_s, ends_s.values(), [0.0, *ends_s.values()], strict=False)
    figures.write(
        "first_trial",
        [
            Row(
                "from `make sweep` on a machine with nothing to the first trial",
                f"<= {GOAL_S:.0f} s on 2 cores",
                took_s <= GOAL_S,
                (Series("", "s", [took_s]), *(Series(f"of it {n}", "s", [end - begin]) for n, end, begin in parts)),
                (Series("configure and make of the same httpd by hand", "s", [by_hand_s]),),
            )
        ],
    )


def _sweep(root: Path) -> tuple[float, dict[str, float]]:
    """Return the seconds from `make sweep` to the sweep's first trial, and to what came before it."""
    clone = root / "root" / "cgidlab"
    shutil.rmtree(clone, ignore_errors=True)
    milestones = {
        "Python's packages": ".venv/.cgidlab-stamp",
        "the plan": "results/backlog-sweep/*/plan.json",
        "the distribution's packages, httpd and its variants": "results/backlog-sweep/*/hosts/*.json",
    }
    began_s, began_ns = time.monotonic(), time.monotonic_ns()
    spans: dict[str, float] = {}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [str(MACHINE), "run", str(root), "sweep"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as machine,
    ):
        try:
            while not (first := next(clone.glob("results/backlog-sweep/*/trials/*/result.json"), None)):
                for name, pattern in milestones.items():
                    if name not in spans and next(clone.glob(pattern), None):
                        spans[name] = time.monotonic() - began_s
                        figures.say(f"until {name}: {spans[name]:.0f} s")
                if machine.poll() is not None or time.monotonic() - began_s > LIMIT_S:
                    log.seek(0)
                    raise SystemExit(f"no trial came: {log.read()[-3000:].decode(errors='replace')}")
                time.sleep(0.2)
            begin_ns = min(p["begin_ns"] for p in json.loads(first.read_text())["phases"])
        finally:
            # The shell and its unshare are one group; with the latter's child ends its whole PID namespace.
            os.killpg(machine.pid, signal.SIGKILL)
    return (begin_ns - began_ns) / 1e9, spans


def _by_hand(root: Path) -> float:
    """Unpack, configure and make the same source with the same options; return the seconds of the latter two."""
    build: dict[str, Any] = json.loads(next((root / CACHE).glob("httpd/*/build.json")).read_text())
    tarball = next((root / CACHE).glob("sources/*/*.orig.tar.gz"))
    inside = "/" + str(tarball.relative_to(root))
    unpack = f"rm -rf /tmp/by-hand && mkdir /tmp/by-hand && tar -xf {inside} -C /tmp/by-hand --strip-components=1"
    options = " ".join(_quoted(word) for word in build["configure"])
    _shell(root, unpack)
    began_s = time.monotonic()
    _shell(root, f"cd /tmp/by-hand && ./configure {options} >log 2>&1 && make -j{os.cpu_count()} >>log 2>&1")
    return time.monotonic() - began_s


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _shell(root: Path, command: str) -> None:
    words = [str(MACHINE), "shell", str(root), command]
    ran = subprocess.run(words, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{command}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
