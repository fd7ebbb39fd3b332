"""Continuing a run: which one, what of it is done, and whether it may go on. Touches no host."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgidlab import calibrate, files, rundir
from cgidlab.compare import Difference, Recorded, differing
from cgidlab.compare.fields import FIELDS, About, Verb, Weight
from cgidlab.design import catalogue as cat
from cgidlab.design import own_files, spec
from cgidlab.design import plan as planning
from cgidlab.design.hooks import Commands
from cgidlab.design.own_files import OwnContent
from cgidlab.engine import arrivals, extending, targets
from cgidlab.engine.execute import Site
from cgidlab.engine.extending import More
from cgidlab.engine.handing import ORDERS
from cgidlab.engine.loading import Loaded, Request, load_plan
from cgidlab.errors import SpecError, StoreError
from cgidlab.failures import RULES
from cgidlab.model import Experiment, OwnFile, Plan, Status, TrialRecord
from cgidlab.runs import changes, ending, harvest, keeping, planless, provenance, records, status, store, watching
from cgidlab.runs.store import RunDirectory

DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What of a run is done."""

    done: tuple[TrialRecord, ...]  # in the order of the run
    undone: tuple[tuple[Path, str], ...]  # directories that do not count, and why
    environments: frozenset[str]  # of the trials that are done


@dataclass(frozen=True, slots=True)
class _Mine:
    """What is the user's own, of the experiment file that the command line names."""

    files: tuple[OwnFile, ...]
    hooks: Commands
    contents: tuple[OwnContent, ...]


@dataclass(frozen=True, slots=True)
class Continued:
    """A run that can go on: its plan as it is now, what is done, and what is not what it was."""

    run: RunDirectory
    loaded: Loaded
    done: tuple[TrialRecord, ...]  # in the order of the run
    undone: tuple[tuple[Path, str], ...]  # directories that do not count, and why
    environments: frozenset[str]  # of the trials that are done
    before: Recorded  # what the run wrote down of itself
    differences: tuple[Difference, ...]  # of what is known without asking a host
    extended: bool = False  # by this session

    @property
    def pending(self) -> int:
        """Return how many trials of the plan, were all its blocks run, have no record that counts."""
        return len({t.key for t in self.loaded.plan.trials} - {r.key for r in self.done})


def interrupted(request: Request, results: Path) -> status.RunStatus | None:
    """Return how far the newest run of the same experiment is, if it was interrupted; None otherwise.

    The same: file, levels, settings and target. A run that has no trial never began: there is nothing
    of it to go on with, and it is passed over. Raises `SpecError` for a request that cannot be run.
    """
    experiment = load_plan(request).plan.experiment
    for run in _newest_first(results / experiment.name):
        try:
            if not _began(run):
                continue
            if _source(run) == experiment.source and _as_asked(store.experiment_of(run)) == experiment:
                found = status.status(run.path)
                return found if found.state == store.INTERRUPTED else None
        except StoreError:
            continue
    return None


def _began(run: RunDirectory) -> bool:
    """Say whether a run came as far as a trial, if only one that came home and was not looked at."""
    return bool(run.trial_directories()) or any(run.path.glob("ansible/*/incoming/*"))


def _as_asked(experiment: Experiment) -> Experiment:
    """Return an experiment as its file asked for it, without the blocks that it was extended by."""
    had = experiment.repetitions
    if had.asked is None:
        return experiment
    return replace(experiment, repetitions=replace(had, min=had.asked[0], max=had.asked[1], looked=(), asked=None))


def latest(results: Path, request: Request) -> RunDirectory:
    """Return the newest interrupted run of an experiment file, with whatever settings. Raise `SpecError` if none is."""
    experiment = load_plan(request).plan.experiment
    for run in _newest_first(results / experiment.name):
        try:
            if status.status(run.path).state == store.INTERRUPTED:
                return run
        except StoreError:
            continue
    raise SpecError(
        f"no run of {experiment.name} was interrupted",
        where=str(results / experiment.name),
        fix="leave out --resume, or name the run: --resume RUN",
    )


def load(
    run: RunDirectory, root: Path, request: Request | None, target: str | None = None, more: More | None = None
) -> Continued:
    """Return what a run needs to go on.

    `request` is the experiment file and words of the command line, if any were given: they have to
    ask for what the run was planned to be. `target` is what the command line names without a file. With `more` the
    run gets further blocks. Raises `StoreError` when the plan cannot be read, or the directory is none that this
    user's runs leave.
    """
    run.check_owned()
    catalogue = cat.load(root / "roles")
    experiment = store.experiment_of(run)
    if watching.is_observation(run) or run.path.parent.name == calibrate.NAME:
        raise SpecError("this is no run of an experiment", where=str(run.path), fix="begin it again")
    spec.check(experiment, catalogue, str(run.path / "plan.json"))
    site = _site(run, experiment.target, root, request, target)
    stored = run.read("plan.json")
    plan = extending.numbered(planning.make(experiment, catalogue), stored, run)
    taken_in(run, plan)
    before = _recorded(run, stored, experiment)
    now = standing(run, experiment)
    if more is not None:
        experiment = extending.extended(experiment, more, run, plan, now.done)
        plan = extending.numbered(planning.make(experiment, catalogue), stored, run)
    found = [*differing.between(before, _planned(before, plan), Verb.RESUME, ("settings",))]
    mine = _own(experiment, request, run)
    if mine is not None:
        plan = replace(plan, experiment=replace(experiment, files=mine.files, hooks=mine.hooks))
        found += differing.between(before, _planned(before, plan), Verb.RESUME, ("files", "hooks"))
        site = replace(site, own=mine.contents)
    if request is not None:
        was_asked = replace(before, plan=run.read(changes.ASKED)) if changes.is_beside(run) else before
        found += _asked(request, experiment, was_asked)
    if now.environments and before.hosts:
        code = Recorded(stored, provenance.code(root))
        found += differing.between(before, code, Verb.RESUME, _of(About.PROJECT))
    return Continued(
        run=run,
        loaded=Loaded(_with_keys(plan, stored), catalogue, site),
        done=now.done,
        undone=now.undone,
        environments=now.environments,
        before=before,
        differences=tuple(found),
        extended=more is not None,
    )


def _site(run: RunDirectory, planned: str, root: Path, request: Request | None, target: str | None) -> Site:
    """Return the hosts of a run, by a target that whoever goes on with it has named, or that is the project's own.

    What a run's directory names is data: an inventory can be a program.
    """
    named = target or (request.target if request else None)
    if named is None and planned in targets.NAMED:
        return targets.site(planned, root)
    asked = named or (load_plan(request).plan.experiment.target if request else None)
    where = str(run.path / "plan.json")
    if asked is None:
        raise SpecError(
            f"the run's directory names the target `{planned}`, and nobody else does",
            where=where,
            fix=f"if it is yours, name it: --target {shlex.quote(planned)}",
        )
    if asked != planned:
        raise SpecError(
            f"the run was planned for the target `{planned}`, not for `{asked}`",
            where=where,
            fix=f"name the target it had, if it is yours (--target {shlex.quote(planned)}), or begin again with --new",
        )
    return targets.site(planned, root, named_by_user=named is not None)


def _own(experiment: Experiment, request: Request | None, run: RunDirectory) -> _Mine | None:
    """Return what of the user's own a run sends to hosts, by the experiment file that is named now; None for nothing.

    What a run's directory says of it is data: a path or a command of its own would have anything sent, and run, there.
    """
    names = own_files.names(experiment)
    if not names and not experiment.hooks:
        return None
    if request is None:
        raise SpecError(
            f"the run used {', '.join(names) or 'hooks'}, taken from an experiment file alone, and none is named",
            where=str(run.path / "plan.json"),
            fix=f"name it: {ending.go_on(run)}",
        )
    asked = load_plan(request)
    gone = [name for name in names if name not in {one.name for one in asked.site.own}]
    if gone:
        raise SpecError(
            f"the run used {gone[0]}, and the experiment file names no such file",
            where=str(request.experiment),
            fix="name the file that the run was begun with, or begin again with --new",
        )
    return _Mine(asked.plan.experiment.files, asked.plan.experiment.hooks, asked.site.own)


def refuse(continued: Continued, found: Sequence[Difference], accepted: Sequence[str]) -> None:
    """Raise `SpecError` with all that differs and is not accepted; a word that is no field is refused too."""
    differing.check_words(accepted, (continued.before,), "--accept-changed")
    barred = differing.barred(found, accepted)
    if barred:
        what = "\n".join(
            f"  - {d.field}: {d.what} changed: {differing.short(d.before)}, now {differing.short(d.now)}"
            for d in barred
        )
        options = " ".join(f"--accept-changed {name}" for name in dict.fromkeys(d.field for d in barred))
        raise SpecError(
            f"the run cannot go on: its trials would not be comparable, since this has changed\n{what}",
            where=str(continued.run.path),
            fix=f"undo the change, or begin again with --new, or mix on purpose with {options}",
        )


def now(continued: Continued, collected: Mapping[str, Any]) -> Recorded:
    """Return what the run would write down of itself now that its hosts were asked."""
    return _planned(Recorded(continued.before.plan, collected), continued.loaded.plan)


def host_differences(continued: Continued, now: Recorded) -> tuple[Difference, ...]:
    """Return what is not what it was on the hosts."""
    before = continued.before
    unknown = [
        Difference("provenance", (host,), "not known", "cannot be compared", Weight.DECIDES)
        for host in now.hosts
        if host not in before.hosts
        and continued.environments
        and differing.identity(now, host) not in continued.environments
    ]
    return (*differing.between(before, now, Verb.RESUME, _of(About.HOST)), *unknown)


def _of(about: About) -> frozenset[str]:
    return frozenset(field.name for field in FIELDS if field.about is about)


def _planned(before: Recorded, plan: Plan) -> Recorded:
    return Recorded(store.plan_json(plan), before.provenance)


def tidy(run: RunDirectory, undone: Iterable[tuple[Path, str]]) -> None:
    """Put away what unfinished trials left, so that nothing of it can be taken for another's; remove scraps."""
    for directory, _why in undone:
        target = run.path / DISCARDED
        files.make_directory(target)
        number = 1 + sum(1 for p in target.iterdir() if p.name.startswith(f"{directory.name}."))
        files.move(directory, target / f"{directory.name}.{number}")
    left = (p for name in ("incoming", "tmp", "env", "artifacts", ORDERS) for p in run.path.glob(f"ansible/*/{name}"))
    for scrap in [*run.trials.glob(".*"), *left]:
        files.remove_tree(scrap)
    for place, _, names in os.walk(run.path):
        for name in names:
            # What tempfile.mkstemp made for a write that was cut short: see `files.write_bytes`.
            if name.startswith(".") and name.count(".") > 1:
                (Path(place) / name).unlink(missing_ok=True)


def _asked(request: Request, experiment: Experiment, before: Recorded) -> list[Difference]:
    """Return how what the command line asks for differs from what the run was planned to be."""
    asked = load_plan(request).plan
    if asked.experiment.name != experiment.name:
        raise SpecError(
            f"the run is one of {experiment.name}, not of {asked.experiment.name}",
            where=str(request.experiment),
            fix="leave out the file, or name a run of it",
        )
    fields = ("experiment", "command_line") if request.overrides or request.only or request.target else ("experiment",)
    now = Recorded(store.plan_json(asked), {"experiment_sha256": provenance.experiment_sha256(asked.experiment)})
    return list(differing.worth_telling(differing.between(before, now, Verb.RESUME, fields)))


def taken_in(run: RunDirectory, plan: Plan) -> None:
    """Keep the trials that came home to a run which was killed before it looked at them.

    Trials that were run again have numbers of their own, which no plan knows: they are due again. What is damaged
    stays for `tidy`.
    """
    by_number = {t.number: t for t in plan.trials}
    try:
        environment = {host: str(entry["id"]) for host, entry in run.read("provenance.json")["environments"].items()}
    except (StoreError, KeyError, TypeError, AttributeError):
        return  # killed before there were trials
    for incoming in sorted(run.path.glob("ansible/*/incoming")):
        for arrival in arrivals.left(incoming):
            trial, ran_with = by_number.get(arrival.number), environment.get(arrival.host)
            if trial is None or ran_with is None or arrival.archive is None:
                continue
            if not (run.trials / trial.directory / "outcome.json").exists():
                with suppress(harvest.BadArchive):
                    noise = plan.experiment.noise
                    keeping.keep(run, trial, arrival.host, ran_with, noise, arrival.archive, arrival.load)


def standing(run: RunDirectory, experiment: Experiment) -> Reckoning:
    """Return the records that count and the directories that do not, every file read.

    What a trial's documents hold costs that trial at most: one that cannot be read, is of another version or of
    another plan is not done.
    """
    undone: list[tuple[Path, str]] = []
    found: list[TrialRecord] = []
    environments: dict[str, str] = {}
    for directory in run.trial_directories():
        try:
            if not rundir.is_directory(directory):
                raise StoreError("this is no directory", where=str(directory))  # noqa: TRY301 -- one way out for damage
            stored = store.read_trial(directory)
            records.check_files(stored)
            record = records.load(run.path, stored)
        except StoreError as err:
            undone.append((directory, err.what))
            continue
        kind = stored.outcome.kind
        if stored.outcome.status is not Status.COMPLETE and kind is not None and RULES[kind].on_resume:
            undone.append((directory, stored.outcome.reason))
            continue
        found.append(record)
        environments[record.directory] = stored.environment
    done, unfit = planless.fitting(experiment, sorted(found, key=lambda r: r.number))
    undone += [((run.path / damage.file).parent, damage.why) for damage in unfit]
    known = {environments[r.directory] for r in done}
    return Reckoning(done, tuple(sorted(undone)), frozenset(known - {""}))


def _recorded(run: RunDirectory, stored: Mapping[str, Any], experiment: Experiment) -> Recorded:
    """Return what the run's last session wrote down of it; of what cannot be read nothing is known."""
    try:
        known = changes.of(run).provenance
    except StoreError:
        known = {}
    return Recorded(stored, {**known, "experiment_sha256": provenance.experiment_sha256(experiment)})


def _with_keys(plan: Plan, stored: Mapping[str, Any]) -> Plan:
    """Return the plan with its trials under the keys that plan.json has, also where settings were changed since."""
    keys = {(t["number"], t["cell"]): t["key"] for t in stored.get("trials", ())}
    return replace(plan, trials=tuple(replace(t, key=keys.get((t.number, t.cell.id), t.key)) for t in plan.trials))


def _newest_first(directory: Path) -> list[RunDirectory]:
    """Return the runs in a directory; their ids begin with their time."""
    found = [p for p in directory.glob("*") if not p.is_symlink() and (p / "plan.json").is_file()]
    return [RunDirectory(p.resolve()) for p in sorted(found, reverse=True)]


def _source(run: RunDirectory) -> str:
    try:
        return store.source_of(run)
    except StoreError:
        return ""
