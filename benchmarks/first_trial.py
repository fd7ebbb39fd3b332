"""How long `make sweep` takes to its first trial on a machine with nothing, next to building the same httpd by hand.

    python -m benchmarks.first_trial --root DIR

DIR is a root file system made by `tests/rigs/fresh_machine.sh create DIR`: a minimal Debian with git, make
and python3. What a run would keep there is removed before. Without --root nothing is measured.
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
CACHE = "var/cache/cgidlab"


def main() -> int:
    """Run `make sweep` in the root until its first trial, build by hand, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=os.environ.get("FRESH_ROOT"), help="default: $FRESH_ROOT")
    root = parser.parse_args().root
    if root is None:
        figures.say("skipped: it needs --root DIR or FRESH_ROOT, see --help")
        return 0
    root = Path(root).resolve()
    shutil.rmtree(root / CACHE, ignore_errors=True)
    took_s, spans = _sweep(root)
    by_hand_s = _by_hand(root)
    figures.write(
        "first_trial",
        [
            Row(
                "from `make sweep` on a machine with nothing to the first trial",
                f"<= {GOAL_S:.0f} s on 2 cores",
                took_s <= GOAL_S,
                (Series("", "s", [took_s]), *(Series(name, "s", [s]) for name, s in spans.items())),
                (Series("configure and make of the same httpd by hand", "s", [by_hand_s]),),
            )
        ],
    )
    return 0


def _sweep(root: Path) -> tuple[float, dict[str, float]]:
    """Return the seconds from `make sweep` to the sweep's first trial, and to what came before it."""
    clone = root / "root" / "cgidlab"
    shutil.rmtree(clone, ignore_errors=True)
    milestones = {
        "until the packages for Python are there": ".venv/.cgidlab-stamp",
        "until the run directory is there": "results/backlog-sweep/*/plan.json",
        "until httpd and its variants are built": "results/backlog-sweep/*/hosts/*.json",
        "until the first control": "results/calibration/*/trials/*/trial.json",
    }
    began_s, began_ns = time.monotonic(), time.monotonic_ns()
    spans: dict[str, float] = {}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [str(ROOT / "tests/rigs/fresh_machine.sh"), "run", str(root), "sweep"],
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
                        figures.say(f"{name}: {spans[name]:.0f} s")
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
    tarball = next((root / CACHE).glob("httpd/*/*.tar.*"))
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
    words = [str(ROOT / "tests/rigs/fresh_machine.sh"), "shell", str(root), command]
    ran = subprocess.run(words, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{command}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
