"""Tries very many cases against every reader, in as many processes as there are CPUs, and says what was found.

    python -m tests.fuzz.nightly [--cases 100000] [--seed N] [--keep DIR]

A find is written to `--keep`/<target>/<hash>, to be looked at and moved to tests/data/fuzz.
"""

import argparse
import hashlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import targets, tried

HANG_S = 5.0  # of CPU time: a reader that takes this long for 64 kB hangs


@dataclass(frozen=True, slots=True)
class Found:
    """What one share of the cases of one target came to."""

    target: str
    cases: int
    finds: tuple[tuple[str, bytes], ...]
    longest_s: float
    memory_mb: int


def share(target: str, cases: int, seed: int) -> Found:
    """Try so many cases of one target."""
    random = Random(f"{target} {seed}")  # noqa: S311 -- chance, not a secret
    finds, longest_s = [], 0.0
    for _ in range(cases):
        data = mutate(targets()[target].samples, random)
        began_s = time.process_time()
        try:
            tried(target, data)
        except Exception:  # noqa: BLE001 -- whatever it is, it is a find
            finds.append((traceback.format_exc(), data))
        took_s = time.process_time() - began_s
        longest_s = max(longest_s, took_s)
        if took_s > HANG_S:
            finds.append((f"took {took_s:.1f} s", data))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Found(target, cases, tuple(finds), longest_s, memory_mb)


def main(argv: Sequence[str]) -> int:
    """Try all cases and print what came of them; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=None, help="to see the same cases again; another one each time")
    parser.add_argument("--keep", type=Path, default=Path(".cache/fuzz"))
    args = parser.parse_args(argv)
    seed = int.from_bytes(os.urandom(4)) if args.seed is None else args.seed
    each = -(-args.cases // len(targets()))
    began = time.monotonic()
    finds = 0
    with ProcessPoolExecutor() as pool:
        for found in pool.map(share, targets(), [each] * len(targets()), [seed] * len(targets())):
            _say(
                f"{found.target:16} {found.cases:7,} cases  {len(found.finds)} found  "
                f"longest {found.longest_s:.2f} s of CPU  memory up to {found.memory_mb} MB"
            )
            finds += len(found.finds)
            for text, data in found.finds[:3]:
                _say(f"{text}\nkept in {_keep(args.keep / found.target, data)}")
    total = each * len(targets())
    _say(f"{total:,} cases, {finds} found, in {time.monotonic() - began:.0f} s; seed {seed}")
    return 1 if finds else 0


def _keep(directory: Path, data: bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
