"""What a variant of mod_cgid costs, next to `apxs` by hand for one.

    python -m benchmarks.variants [--variants 8] [--rounds 5]

Ours is the module of the role `cgid`, given a fresh cache each time; it builds as many at a time as there are cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import figures, sites
from benchmarks.figures import ROOT, Row, Series

GOAL_S = 1.5
EXPERIMENT = """\
schema_version: 1
name: variants
question: What does a variant cost?
factors: {listen_backlog: [100, 101]}
load: {loop: closed, driver: h2load, clients: 1}
repetitions: 1
"""


def main() -> int:
    """Build in turns, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    try:
        build = _a_build(work)
        ours, theirs = [], []
        for number in range(args.rounds):
            ours.append(_module(build, args.variants, work / f"cache-{number}") / args.variants)
            theirs.append(_by_hand(build, work / f"apxs-{number}"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write(
        "variants",
        [
            Row(
                "a variant of mod_cgid",
                f"<= {GOAL_S} s each, n in parallel on the cores there are",
                median(ours) <= GOAL_S,
                (Series(f"{args.variants} together on {os.cpu_count()} cores, each", "s", ours),),
                (Series("apxs by hand, one", "s", theirs),),
            )
        ],
    )
    return 0


def _a_build(work: Path) -> dict[str, object]:
    """Return a built httpd as the role `build` describes it."""
    host = sites.provisioned(sites.planned(EXPERIMENT), work)
    build: dict[str, object] = json.loads((work / "hosts" / f"{host.host}.json").read_text())["httpd"]["distro"]
    return build


def _module(build: dict[str, object], variants: int, cache: Path) -> float:
    """Compile variants nobody has compiled yet, with Ansible's own start; return the seconds."""
    cache.mkdir()
    arguments = {
        "builds": {"distro": build},
        "wanted": [
            {
                "httpd": "distro",
                "variants": [
                    {"listen_backlog": 5000 + i, "connect_attempts": 15, "patches": ""} for i in range(variants)
                ],
            }
        ],
        "cache_dir": str(cache),
    }
    words = [
        str(Path(sys.executable).parent / "ansible"),
        *("localhost", "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"),
        *("-m", "cgid_variants", "-a", json.dumps(arguments)),
    ]
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LIBRARY": str(ROOT / "roles/cgid/library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "roles/host/module_utils"),
    }
    began_s = time.monotonic()
    ran = subprocess.run(words, check=False, capture_output=True, text=True, env=env)
    took_s = time.monotonic() - began_s
    if ran.returncode != 0 or len(list(cache.rglob("mod_cgid.so"))) != variants:
        raise SystemExit(f"the module failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return took_s


def _by_hand(build: dict[str, object], directory: Path) -> float:
    shutil.copytree(Path(str(build["generators_dir"])).parent, directory / "modules")
    source = directory / "modules" / "generators"
    words = [
        str(Path(str(build["prefix"])) / "bin" / "apxs"),
        *("-c", "-DDEFAULT_CGID_LISTENBACKLOG=5000", f"-I{source}", str(source / "mod_cgid.c")),
    ]
    began_s = time.monotonic()
    ran = subprocess.run(words, check=False, capture_output=True, text=True, cwd=directory)
    took_s = time.monotonic() - began_s
    if ran.returncode != 0 or not list(directory.rglob("mod_cgid.so")):
        raise SystemExit(f"apxs failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return took_s


if __name__ == "__main__":
    sys.exit(main())
