"""What of each verb reads run directories or looks through results: everything that may be tried without a host."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from cgidlab import cli
from cgidlab.analysis.bisecting import Ask, Commit
from cgidlab.analysis.intervals import ALPHA
from cgidlab.commands import alarms, changed
from cgidlab.commands import observe as telling
from cgidlab.design import catalogue
from cgidlab.design import plan as planning
from cgidlab.engine import (
    bisect_state,
    bisecting,
    extending,
    foretelling,
    loading,
    looking,
    observe_order,
    observed_run,
    observing,
    pacing,
    readying,
    recovering,
    resuming,
)
from cgidlab.errors import LabError
from cgidlab.model import Plan
from cgidlab.parsers import observation
from cgidlab.progress import Display
from cgidlab.runs import bisecting as steps
from cgidlab.runs import expecting, headroom, proven, records, store
from cgidlab.runs.store import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
BESIDE = "20261128T000000Z-aaaa"
"""The whole run beside the changed one: what is asked for, where a verb asks for something."""
BISECT = "bisect.json"
"""A whole state of a search for a commit, in the directory of all results."""
HOME = "ansible/observe/hosts"
"""Where an observation comes home from hosts, below its run."""

_OF_THE_FILE = "it is about the experiment file"
_OF_HOSTS = "it is about hosts, which are not asked here"
_SAID = "it is how much is said"
NOT_TRIED = {
    "new": "it writes an experiment file and reads none of a run",
    "init": "it copies the project's own files",
    "options": "it reads the roles",
    "schema": "it reads the roles",
    "doctor": "it asks hosts and reads no run",
    "sources": "it asks hosts and reads no run",
    "completion": "it reads nothing",
    "calibrate": "it reads no earlier run; what earlier ones proved is read by `run`",
    "--sources": "a directory of tarballs, which is no run",
    "--set": _OF_THE_FILE,
    "--only": _OF_THE_FILE,
    "--repository": "it is httpd's, not a run",
    "--target": _OF_HOSTS,
    "--uncalibrated": "it leaves out what is read",
    "--fail-fast": _OF_HOSTS,
    "--profile-run": "it writes a file of its own",
    "--quiet": _SAID,
    "--verbose": _SAID,
    "run --new": "it leaves out what is read",
    "bisect --new": "it leaves out what is read",
    "run --accept-changed": "it compares a word with what differs, which is refused here as it stands",
    "run --format": "json is `report --format json` of the run that it made",
    "run --lang": "it is the language of what `report` says",
    "bisect --format": "its answer is made of values that were read",
    "bisect --lang": "it is the language of an answer that is made of values that were read",
    "recover --format": "it tells what hosts said",
    "observe --host": _OF_HOSTS,
    "observe --become": _OF_HOSTS,
    "observe --socket": _OF_HOSTS,
    "observe --duration": _OF_HOSTS,
    "observe --until-full": _OF_HOSTS,
    "observe --around": _OF_HOSTS,
    "observe --error-log": _OF_HOSTS,
    "observe --requests": _OF_HOSTS,
    "observe --status-url": _OF_HOSTS,
    "observe --cost": _OF_HOSTS,
    "observe --watch": "what is seen meanwhile is said and not kept",
    "observe --serve": "it watches this machine for good and reads no run",
    "observe --textfile": "it watches this machine for good and reads no run",
    "parse-log --from": "it is a window of time",
    "parse-log --to": "it is a window of time",
    "parse-log --tz": "it is a zone",
}
"""What is not tried, each with its reason: a verb, an option of one, or one that is the same in all."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One verb, or what of one reads, for one run in its place."""

    name: str
    verb: str
    options: tuple[str, ...]  # that it stands for: "--lang", and with a value where there is a choice, "--lang ja"
    call: Callable[[], object]
    of: str = ""  # the one experiment whose directories tell it anything; empty: of all
    dear: bool = False  # charts take ten times as long as the rest
    writing: bool = False  # in the run's own directory
    takes_in: bool = False  # trials that came home and were not looked at


def readings(run: Path) -> Iterator[Reading]:
    """Yield everything that reads, for one run in its place below results."""
    results, other = run.parents[1], run.with_name(BESIDE)
    file, known = str(other / "experiment.yml"), ["--results", str(results)]
    yield from _reported(run, results / "derived")
    yield _typed("status", "status", str(run))
    yield _typed("status json", "status", str(run), "--format", "json")
    yield _typed("status of all", "status", *known)
    for form in ("text", "json", "md"):
        yield _typed(f"history {form}", "history", run.parent.name, *known, "--format", form, dear=form == "text")
    yield _typed("compare", "compare", str(other), str(run))
    yield _typed("compare json", "compare", str(other), str(run), "--format", "json")
    yield _typed("compare junit", "compare", str(other), str(run), "--format", "junit")
    yield _typed("compare from it", "compare", run.name, other.name, *known, "--threshold", "5%", "--across", "kernel")
    yield _typed("plan", "plan", file, *known)
    yield _typed("plan of it", "plan", str(run / "experiment.yml"), *known, "--format", "json")
    yield _typed("validate", "validate", str(run / "experiment.yml"))
    yield _typed("validate json", "validate", file, "--format", "json")
    yield _typed("logs", "parse-log", str(run))
    yield _typed("logs json", "parse-log", str(run / "trials"), "--format", "json")
    yield from _run_again(run)
    yield _part("what to expect", "plan", ("--results",), expected, run)
    yield _part("changed", "run", ("--if-changed", "--results"), since, run)
    yield _part("recover all", "recover", ("--results",), recovered, run, None)
    yield _part("recover", "recover", (), recovered, run, run)
    yield _part("proven", "run", ("--results",), proved, run, of="calibration")
    yield _part("nagios", "observe", ("--nagios", "--fail-on", "--format json"), alarmed, run, of=observe_order.NAME)
    yield _part("brought home", "observe", ("--results", "--format text"), brought_home, run, of=observe_order.NAME)
    yield _part("brought home, all", "observe", ("--all",), listed, run, of=observing.LISTENERS)
    asked = ("--good", "--bad", "--response", "--results", "--budget")
    yield _part("bisect", "bisect", asked, bisected, run, of="planted-bisect")


def _reported(run: Path, derived: Path) -> Iterator[Reading]:
    yield _typed("html", "report", str(run), "--format", "html", dear=True, writing=True)
    yield _typed("output", "report", str(run), "--output", str(derived), "--lang", "ja", "--details", dear=True)
    yield _typed("md", "report", run.name, "--results", str(run.parents[1]), "--format", "md")
    for form in ("json", "junit"):
        yield _typed(form, "report", str(run), "--format", form)
    yield _typed("ja", "report", str(run), "--format", "md", "--lang", "ja")
    yield _typed("en", "report", str(run), "--format", "md", "--lang", "en", "--details")


def _run_again(run: Path) -> Iterator[Reading]:
    for name, options, more in (
        ("resume", ("--resume",), None),
        ("more blocks", ("--blocks",), extending.More(blocks=2)),
        ("until decided", ("--until decided", "--budget"), extending.More(budget_s=3600.0)),
    ):
        yield Reading(name, "run", options, partial(resumed, run, more), writing=True, takes_in=True)
    yield _part("interrupted", "run", ("--resume",), interrupted, run)


def _typed(name: str, *words: str, dear: bool = False, writing: bool = False) -> Reading:
    options = [w for w in words if w.startswith("--")]
    options += [f"{w} {value}" for w, value in pairwise(words) if w in ("--format", "--lang")]
    return Reading(name, words[0], tuple(options), partial(cli.main, list(words)), dear=dear, writing=writing)


def _part(
    name: str, verb: str, options: tuple[str, ...], call: Callable[..., object], *given: Path | None, of: str = ""
) -> Reading:
    return Reading(name, verb, options, partial(_said, call, *given), of=of)


def _said(call: Callable[..., object], *given: Any) -> object:  # noqa: ANN401 -- what `call` takes
    """Return what comes of a part of a verb, or the error in words, as the command line does."""
    try:
        return call(*given)
    except LabError as err:
        return str(err)


def resumed(run: Path, more: extending.More | None = None) -> object:
    """Take the part of `--resume` that reads, up to what is foretold of it."""
    return _said(_resumed, run, more)


def _resumed(run: Path, more: extending.More | None) -> object:
    opened = store.find(run.parents[1], str(run))
    continued = resuming.load(opened, ROOT, None, more=more)
    beside = run.with_name(BESIDE) / "provenance.json"
    found = continued.differences
    if beside.is_file():
        found = (*found, *resuming.host_differences(continued, resuming.now(continued, _document(beside))))
    with suppress(LabError):  # what differs is refused, and the rest is read of those that are not
        resuming.refuse(continued, found, ())
    plan, display = continued.loaded.plan, Display(level=-1)
    trials_s = pacing.session_s(plan, run.parents[1], 3600.0, continued.done)
    foretelling.Foretelling(plan, opened, display, trials_s)
    for driver, entry in headroom.found(opened, "local").items():
        headroom.said("local", driver, entry)
    if plan.experiment.search is None:
        pacing.Pacing(plan, opened, display, 3600.0, continued.done)
    return 0


def interrupted(run: Path) -> object:
    """Look for a run to go on with, as `run` does without and with `--resume` alone."""
    request = _request(run)
    found = resuming.interrupted(request, run.parents[1])
    return found, resuming.latest(run.parents[1], request)


def expected(run: Path) -> object:
    """Say what `plan` does of the last runs, for the plan that the whole one had: a file's has the options of today."""
    plan = _plan(run)
    return expecting.expected(plan, run.parents[1]), expecting.made_ready(plan, run.parents[1])


def since(run: Path) -> object:
    """Say what `--if-changed` does of the latest finished run, and how the whole one compares with it."""
    other = run.with_name(BESIDE)
    looked = looking.since(run.parent, _plan(run), _document(other / "provenance.json"))
    said = looking.told(looked)
    if looked.latest is not None:
        changed.beside(looked.latest, other / "report.html")
        changed.compared(looked.latest, other / "report.html", looked.note)
    return said


def recovered(run: Path, what: Path | None) -> object:
    """Say what would be recovered, of one run or of all."""
    found = recovering.wanted(ROOT, run.parents[1], None if what is None else str(what), None)
    return [recovering.journals_of(one) for one in found]


def proved(run: Path) -> object:
    """Say which witnesses count on the host of the whole calibration."""
    for host in _document(run.with_name(BESIDE) / proven.FILE)["hosts"]:
        standing = proven.standing(run.parents[1], host)
        standing.settled(frozenset(host["witnesses"]))
        json.dumps({"run": standing.run, "witnesses": dict(standing.witnesses), "builds": dict(standing.builds)})
    return 0


def alarmed(run: Path) -> object:
    """Say of an observation what `observe` does once it has its run: Nagios' line, an exit status, JSON."""
    opened = store.open_run(run)
    rows, _ = records.load_all(opened, keep=False)
    seen = observed_run.instances(opened, rows)
    sockets = [alarms.of_instance(i) for i in seen]
    json.dumps(seen, allow_nan=False)
    return alarms.nagios(sockets, alarms.USUAL), alarms.status(sockets, alarms.USUAL)


def brought_home(run: Path) -> object:
    """Conclude, in a new directory, from what hosts that were watched brought home."""
    shutil.rmtree(run.parents[1] / "home", ignore_errors=True)
    new = store.begin(run.parents[1] / "home", observe_order.NAME, BESIDE)
    order = observe_order.ObservationRequest(
        ROOT, None, None, 2.0, until_full=False, around_s=10.0, cost_share=0.01, sockets=(), status_url="",
        error_logs=(), become=False, poll_s=2.0,
    )  # fmt: skip
    staging = new.ansible(observe_order.NAME)
    for file in (run / HOME).glob("*/*"):
        if file.is_file() and not file.is_symlink():  # Ansible writes no others
            to = staging / "hosts" / file.parent.name / file.name
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(file.read_bytes())
    seen = [observation.read(p, p.parent.name) for p in sorted(staging.glob("hosts/*/observation.json"))]
    if not seen:
        return 0  # `observe` says what Ansible did
    report, instances = observed_run.conclude_all(order, new, staging, seen)
    found = observing.Observed(new.path, report, instances, tuple(seen), ())
    telling.told(found, "json")
    return telling.told(found, "text")


def listed(run: Path) -> object:
    """Say of what hosts brought home what `observe --all` does."""
    seen = [observation.read(p, p.parent.name) for p in sorted((run / HOME).glob("*/observation.json"))]
    if not seen:
        return 0
    rows, document = observing.listing(seen, ())
    json.dumps(document, allow_nan=False)
    sockets = [alarms.of_listener(row.document()) for row in rows]
    found = observing.Listed(run / "listeners.json", rows, tuple(seen), ())
    return alarms.nagios(sockets, alarms.USUAL), telling.told(found, "text"), telling.told(found, "json")


def bisected(run: Path) -> object:
    """Read of a search for a commit what is there, up to the run that would be next."""
    good = bisect_state.STATE.read(run.parents[1] / BISECT)
    path = next(run.parent.glob("bisect-*.json"), None)
    if path is None:  # it begins anew
        return 0
    state = bisect_state.read(path, replace(good, steps=(), skipped=()))
    hashes = list(dict.fromkeys(h for step in good.steps for h in (good.good, step.middle, good.bad) if h))
    line = [Commit(h, "2026-11-29T00:00:00+00:00", "x") for h in (good.good, *hashes[1:-1], good.bad)]
    asked = bisecting.BisectRequest(
        _request(run), good.good, good.bad, good.response, None, run.parents[1], run, readying.How(budget_s=3600.0)
    )
    search = bisecting.Bisecting(
        asked, good.repository, tuple(line), bisecting.StepDisplay(-1), lambda: False, path, state
    )
    wanted = store.experiment_of(RunDirectory(run.with_name(BESIDE)))
    plan = _plan(run)
    found = []
    for step in state.steps:
        places = [
            None if h is None else next((n for n, c in enumerate(line) if c.hash == h), None) for h in step.commits
        ]
        if places[0] is None or places[2] is None:
            continue
        ask = Ask(places[0], places[2], places[1], ALPHA)
        there = search.run_of(ask)
        if there is not None and there.path.is_dir() and steps.is_of(there, wanted):
            found.append((search.is_whole(there, ask, plan), _said(search.why_not_run, ask, there), search.left_s()))
    return found


def _request(run: Path) -> loading.Request:
    return loading.Request(run.with_name(BESIDE) / "experiment.yml", ROOT)


def _plan(run: Path) -> Plan:
    return planning.make(store.experiment_of(RunDirectory(run.with_name(BESIDE))), catalogue.load(ROOT / "roles"))


def _document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
