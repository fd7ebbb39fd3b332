"""Whole run directories as a stranger may send them: good ones changed, and every verb that reads them.

    python -m tests.fuzz.rundirs [--cases 20000] [--seed 1] [--first N]

A find names its seed; `--seed SEED --first CASE --cases 1` tries it again.
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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType

from cgidlab import cli
from cgidlab.engine import resuming
from cgidlab.errors import LabError
from cgidlab.runs import store
from tests.fuzz import bounded, rundir_changes
from tests.fuzz.bounded import Find
from tests.fuzz.rundir_changes import BESIDE, ROOT

_VERBS = 2  # of all, on one directory: they share most of what can break
_DEAR = {"html", "output", "history text"}  # charts take ten times as long as the rest
_CHARTS = 0.1  # share of the directories of which they may be drawn
_WRITING = {"html", "resume"}  # in the run's own directory
_TOLD = 100  # directories, between two words of how far it is
HANG_S, WAIT_S = 20.0, 120  # of CPU, of wall time: a report of four trials takes half a second


class Hung(Exception):  # noqa: N818 -- what happened, not an error of ours
    """A verb that took longer than any may."""


def verbs(run: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield every reading verb by name, for one run in its place."""
    results, other = run.parents[1], run.with_name(BESIDE)
    for form in ("html", "md", "json"):
        yield form, partial(cli.main, ["report", str(run), "--format", form])
    yield "output", lambda: cli.main(["report", str(run), "--output", str(results / "derived")])
    yield "status", lambda: cli.main(["status", str(run)])
    yield "status of all", lambda: cli.main(["status", "--results", str(results)])
    for form in ("text", "json", "md"):
        words = ["history", rundir_changes.NAME, "--results", str(results), "--format", form]
        yield f"history {form}", partial(cli.main, words)
    yield "junit", lambda: cli.main(["report", str(run), "--format", "junit"])
    yield "ja", lambda: cli.main(["report", str(run), "--format", "md", "--lang", "ja"])
    yield "compare", lambda: cli.main(["compare", str(other), str(run)])
    yield "compare junit", lambda: cli.main(["compare", str(other), str(run), "--format", "junit"])
    yield "compare from it", lambda: cli.main(["compare", str(run), str(other)])
    yield "resume", lambda: resumed(run)


def resumed(run: Path) -> object:
    """Take the part of `--resume` that reads."""
    try:
        opened = store.find(run.parents[1], str(run))
        continued = resuming.load(opened, ROOT, None)
        resuming.refuse(continued, continued.differences, ())
    except LabError as err:
        return str(err)
    return 0


def tried(place: Path, seed: str) -> list[Find]:
    """Make one directory from a seed below `place`, run some verbs on it, and return what was found."""
    random = Random(seed)  # noqa: S311 -- chance, not a secret
    run = rundir_changes.made(place, random)
    bounded.forget_peak()
    finds = []
    charts = random.random() < _CHARTS
    chosen = random.sample([(verb, call) for verb, call in verbs(run) if charts or verb not in _DEAR], _VERBS)
    if (run / "ansible").exists():  # what came home is taken in by this one alone
        chosen = [(verb, call) for verb, call in verbs(run) if verb == "resume"]
    for verb, call in chosen:
        said, before = io.StringIO(), {} if verb in _WRITING else _written(run)
        try:
            with limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                call()
        except (Exception, SystemExit):  # noqa: BLE001 -- whatever it is, it is a find
            finds.append(Find(seed, verb, traceback.format_exc()))
        if verb not in _WRITING and _written(run) != before:
            finds.append(Find(seed, verb, "it wrote into the run's directory"))
    return finds


def unpacked(place: Path, kept: str) -> list[Find]:
    """Have a kept run there, measured."""
    rundir_changes.unpacked(Path(kept), rundir_changes.place_of(place, Path(kept)))
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
    args = parser.parse_args(argv)
    kinds: Counter[str] = Counter()
    memory_mb, began_s = 0, time.monotonic()
    seeds = [f"{args.seed}-{case}" for case in range(args.first, args.first + args.cases)]
    with tempfile.TemporaryDirectory(prefix="cgl-rundirs-") as directory:
        place = Path(directory).resolve()
        good = [str(kept) for kept in (rundir_changes.KEPT, *rundir_changes.PACKED)]
        list(bounded.each(good, lambda kept: unpacked(place, kept)))  # not here: threads do not live on in a child
        held = rundir_changes.held(place)
        for case, done in enumerate(bounded.each(seeds, partial(tried, place)), 1):
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
