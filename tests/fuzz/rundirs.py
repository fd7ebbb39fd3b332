"""Whole run directories as a stranger may send them: good ones changed, and every verb that reads them.

    python -m tests.fuzz.rundirs [--cases 20000] [--seed 1] [--first N] [--kinds observed ...]

A find names its seed; `--seed SEED --first CASE --cases 1` tries it again, with the same --kinds.
"""

import argparse
import contextlib
import io
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz import bounded, rundir_changes
from tests.fuzz.bounded import Find
from tests.fuzz.rundir_verbs import Reading, readings

_VERBS = 2  # of all, on one directory: they share most of what can break
_CHARTS = 0.1  # share of the directories of which they may be drawn
_OWN = 0.6  # share of the directories of a kind that has verbs of its own on which one of them is tried
_TOLD = 100  # directories, between two words of how far it is
HANG_S, WAIT_S = 20.0, 120  # of CPU, of wall time: a report of four trials takes half a second


class Hung(Exception):  # noqa: N818 -- what happened, not an error of ours
    """A verb that took longer than any may."""


def tried(place: Path, kinds: Sequence[str], seed: str) -> list[Find]:
    """Make one directory from a seed below `place`, run some verbs on it, and return what was found."""
    random = Random(seed)  # noqa: S311 -- chance, not a secret
    run = rundir_changes.made(place, random, kinds)
    bounded.forget_peak()
    finds = []
    for reading in _chosen(run, random):
        said, before = io.StringIO(), {} if reading.writing else _written(run)
        try:
            with limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                reading.call()
        except (Exception, SystemExit):  # noqa: BLE001 -- whatever it is, it is a find
            finds.append(Find(seed, reading.name, traceback.format_exc()))
        if not reading.writing and _written(run) != before:
            finds.append(Find(seed, reading.name, "it wrote into the run's directory"))
    return finds


def _chosen(run: Path, random: Random) -> list[Reading]:
    """Return what is tried on a directory: mostly one that is for its kind alone, if there is one, and others."""
    charts = random.random() < _CHARTS
    every = [one for one in readings(run) if one.of in ("", run.parent.name) and (charts or not one.dear)]
    if any(run.glob("ansible/*/incoming")):  # what came home is taken in by these alone
        return random.sample([one for one in every if one.takes_in], 1)
    own = [one for one in every if one.of]
    first = random.sample(own, 1) if own and random.random() < _OWN else []
    return first + random.sample([one for one in every if one not in first], _VERBS - len(first))


def unpacked(place: Path, kept: str) -> list[Find]:
    """Have a kept run there, measured."""
    rundir_changes.unpacked(Path(kept), place)
    return []


def _written(run: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in (run, *run.rglob("*"))}


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """End what uses more CPU time than any verb may, or waits for something that never comes."""

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise Hung

    before = {number: signal.signal(number, ended) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    signal.alarm(WAIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: Sequence[str]) -> int:
    """Try many directories; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first case of the seed that is tried")
    parser.add_argument("--kinds", nargs="+", default=[], choices=sorted(rundir_changes.kinds()), help="these alone")
    args = parser.parse_args(argv)
    kinds: Counter[str] = Counter()
    memory_mb, began_s = 0, time.monotonic()
    seeds = [f"{args.seed}-{case}" for case in range(args.first, args.first + args.cases)]
    with tempfile.TemporaryDirectory(prefix="cgl-rundirs-") as directory:
        place = Path(directory).resolve()
        good = [str(kept) for kept in rundir_changes.kinds().values()]
        list(bounded.each(good, lambda kept: unpacked(place, kept)))  # not here: threads do not live on in a child
        held = rundir_changes.held(place)
        for case, done in enumerate(bounded.each(seeds, partial(tried, place, args.kinds)), 1):
            memory_mb = max(memory_mb, done.memory_mb)
            for find in done.finds:
                kind = "".join(find.text.splitlines(keepends=True)[-3:])
                kinds[kind] += 1
                if kinds[kind] == 1:
                    _say(f"{find.seed} {find.verb}\n{find.text}")
            if case % _TOLD == 0:
                _say(f"{case:,} directories, {sum(kinds.values())} found, in {time.monotonic() - began_s:.0f} s")
        if rundir_changes.held(place) != held:
            kinds["a run beside the changed one was written to"] += 1
    found = f"{sum(kinds.values())} found of {len(kinds)} kinds"
    _say(f"{len(seeds):,} directories, {found}, up to {memory_mb} MB, in {time.monotonic() - began_s:.0f} s")
    return 1 if kinds else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
