"""Values that pass between stages. No I/O, no clock, no randomness.

The words are those of docs/architecture.md. Settings are keyed by short names
(`listen_backlog`); only `ansible` and the roles know the long ones
(`cgid_listen_backlog`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Literal

from cgidlab.figures import Figures as Figures  # noqa: PLC0414 -- one of the values that pass between stages

SCHEMA_VERSION = 1  # of what verbs print as JSON; documents that are kept have their own (`parsers.versions`)
_LONGEST_NAME = 180
MIN_BLOCKS = 6
"""Below this many blocks no 95 % claim is made: the sign interval needs 6 (2 x 0.5^6 = 3.1 %)."""

SEARCH_PROBES = 4
"""Trials that a block makes of one search, once it is near the limit."""

Scalar = bool | int | float | str
Settings = Mapping[str, Scalar]
CellPairs = tuple[tuple[str, str], ...]
"""Factors and labels that name cells: those that have one of the labels of each factor that is named."""


def covered(pairs: CellPairs, cell: Sequence[tuple[str, str]]) -> bool:
    """Say whether a cell, by its factors and labels, is one of those that `pairs` name."""
    return all(pair in pairs for pair in cell if pair[0] in {name for name, _ in pairs})


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a role, as its argument_specs.yml declares it."""

    role: str
    name: str  # short: without the role's prefix
    type: str  # Ansible's word: str, int, float, bool, path
    default: Scalar | None  # None: required
    choices: tuple[Scalar, ...]
    description: str
    directive: str = ""  # of httpd.conf, of which it is the value
    also: tuple[str, ...] = ()  # what else people call it

    @property
    def summary(self) -> str:
        """Return the first sentence of what it is, without its full stop."""
        return self.description.partition(". ")[0].removesuffix(".")

    @property
    def long_name(self) -> str:
        """Return the variable Ansible knows this option by."""
        return f"{self.role}_{self.name}"


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a factor. Two levels may share a value (A/A cells), never a label."""

    label: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Factor:
    """One knob and the levels it takes, in the order the author wrote them."""

    name: str  # short name of a role's option
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels, with every setting resolved."""

    id: str  # "listen_backlog=100,clients=50": unique in the design, fit for a file name
    levels: tuple[tuple[str, Level], ...]  # factor name and level, in the file's order
    settings: Settings  # every option of every role, short name to value

    def label_of(self, factor: str) -> str:
        """Return the label of this cell's level of `factor`."""
        return next(level.label for name, level in self.levels if name == factor)


@dataclass(frozen=True, slots=True)
class Trial:
    """One cell run once."""

    number: int  # from 1, in the order of the run
    block: int  # from 1
    cell: Cell
    key: str  # names cell, block and pass; stable across machines and orders of the file
    pass_number: int = 1  # from 1 within the block
    watched: bool = True  # all instruments are on; in an unwatched pass only those that are factors
    intervention_slot_s: float | None = None  # how long each thing is held back in its window; None: nothing is

    @property
    def directory(self) -> str:
        """Return the name of the trial's directory below `trials/`."""
        cell = self.cell.id.replace(",", "_").replace("=", "-")
        if len(cell) > _LONGEST_NAME:  # a name of a file has 255 bytes at most
            cell = f"{cell[:_LONGEST_NAME]}-{self.key[:8]}"
        which = f"-p{self.pass_number}" if self.pass_number > 1 else ""
        return f"{self.number:03d}-{cell}-b{self.block}{which}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a phase may take before it is given up: what hangs must not hang the run."""

    provision_s: float = 3600.0
    trial_s: float = 120.0  # beside warm-up and window
    block_s: float = 300.0  # for Ansible, beside the trials
    # Beside what a trial may take: Ansible's start, and a slow way home. Silence for longer is a hang.
    silence_s: float = 180.0
    teardown_s: float = 120.0

    def of_trial_s(self, trial: Trial) -> float:
        """Return after how many seconds a trial is given up."""
        settings = trial.cell.settings
        return float(settings["warmup_s"]) + float(settings["window_s"]) + self.trial_s


class LoopKind(StrEnum):
    """How the driver paces requests."""

    CLOSED = "closed"  # N clients, each sends when its answer is there
    OPEN = "open"  # a constant rate, whatever the answers do


@dataclass(frozen=True, slots=True)
class SmallestEffect:
    """The smallest change of a response that matters, as a share of it, fixed before the run."""

    response: str  # a column of trials.csv
    share: float  # 0.05 is 5 %


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound that a figure has to keep."""

    figure: str  # a column of trials.csv
    sense: Literal["<=", ">="]
    bound: float  # in the column's unit; shares are 0..1

    def kept_by(self, value: float) -> bool:
        """Say whether a value is on the right side of the bound."""
        return value <= self.bound if self.sense == "<=" else value >= self.bound


@dataclass(frozen=True, slots=True)
class Required:
    """What a run has to show for its outcome to be a pass."""

    thresholds: tuple[Threshold, ...] = ()
    overflow: Literal["", "not_observed", "moment"] = ""  # moment: for moments at most; empty: not asked
    at: CellPairs = ()  # the cells that are asked; empty: all

    @property
    def nothing(self) -> bool:
        """Say whether no outcome is required."""
        return not self.thresholds and not self.overflow


@dataclass(frozen=True, slots=True)
class LimitSearch:
    """A limit to be found, in place of levels to be compared: the last level of a factor that keeps all goals."""

    factor: str
    goals: tuple[Threshold, ...]  # of a trial
    rising: bool  # the goals get harder to keep as the level rises: the most is asked for, else the least
    exceed: float  # share of trials that may miss a goal
    precision: float  # share of the level, to which the limit is to be known
    short_s: float  # window of trials that are far from the limit
    blocks: int  # at most
    window_s: float  # of all other trials


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """What the experiment will conclude from, registered before it runs."""

    factor: str  # the factor whose effect is asked for
    reference: str  # label of the level that ratios refer to
    smallest_effects: tuple[SmallestEffect, ...]
    bounds: tuple[tuple[str, float], ...] = ()  # response and the value it is not to pass, in its unit
    required: Required = Required()
    error: float = 0.05  # of its claims together; less where the run is one step of several to one answer


@dataclass(frozen=True, slots=True)
class Repetitions:
    """How many blocks to run: `min` always, up to `max` until every comparison is decided, or known well enough."""

    min: int
    max: int
    passes: int = 1  # over all cells, in each block
    watch_every: int = 1  # one pass in so many is watched by all instruments; 1: every one
    half_widths: tuple[tuple[str, float], ...] = ()  # response and share it is to be known to; empty: until decided
    looked: tuple[int, ...] = ()  # after how many blocks it was looked at before it was extended; empty: it was not
    asked: tuple[int, int] | None = None  # `min` and `max` before it was extended

    @property
    def fixed(self) -> bool:
        """Say whether the number of blocks is known before the run."""
        return self.min == self.max

    @property
    def answering_blocks(self) -> int:
        """Return how many of the most blocks have a pass in which nothing watches, or all where every pass is watched.

        At least: of several passes a block seldom has none.
        """
        if self.watch_every == 1 or self.passes > 1:
            return self.max
        return self.max - -(-self.max // self.watch_every)

    @property
    def watched_blocks(self) -> int:
        """Return how many of the most blocks have a pass that all instruments watch."""
        return min(self.max, -(-self.max * self.passes // self.watch_every))


@dataclass(frozen=True, slots=True)
class NoisePolicy:
    """When a trial is too disturbed to be believed, and how often it is run again. None: not checked."""

    max_outsider_cpu: float | None  # cores that others used in the window, or wanted around it
    max_steal_share: float | None
    reruns: int
    max_slowdown_share: float | None = None  # by which the host's fixed work was slower than usual

    @property
    def ignores(self) -> bool:
        """Say whether nothing is looked at."""
        return self.max_outsider_cpu is None and self.max_steal_share is None and self.max_slowdown_share is None


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file of the user's that an experiment names: a CGI script, a hook, or a list of requests."""

    name: str  # as its setting has it
    sha256: str  # of what hosts get


class LimitTrials(StrEnum):
    """In which cells a run holds back, beside its own trials, what may limit throughput."""

    OFF = "off"
    ONCE = "once"  # the reference level under the most clients
    CELLS = "cells"  # all of them


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment file that passed every check, with `--set` and `--only` applied."""

    name: str
    question: str
    target: str
    factors: tuple[Factor, ...]
    settings: Settings  # fixed settings, short names; role defaults are not in it
    exclude: tuple[CellPairs, ...]  # cells to leave out
    repetitions: Repetitions
    seed: int
    instruments: tuple[str, ...]
    rule: VerdictRule
    noise: NoisePolicy
    source: str = field(repr=False)  # the file's text, byte for byte
    limits: LimitTrials = LimitTrials.OFF
    derived: tuple[tuple[str, str], ...] = ()  # settings that follow from factors: name and formula
    search: LimitSearch | None = None  # None: its levels are compared
    files: tuple[OwnFile, ...] = ()
    hooks: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the user's own programs: when each runs, and its command

    def excludes(self, cell: Sequence[tuple[str, str]]) -> bool:
        """Say whether a cell is left out: of each factor that an exclusion names it has one of the labels."""
        return any(covered(pairs, cell) for pairs in self.exclude)

    @property
    def hardest_last(self) -> tuple[Level, ...]:
        """Return the candidates of a search in the order in which its goals get harder; none without a search."""
        if self.search is None:
            return ()
        levels = next(f.levels for f in self.factors if f.name == self.search.factor)
        return tuple(sorted(levels, key=lambda level: float(level.value), reverse=not self.search.rising))

    @property
    def places(self) -> tuple[CellPairs, ...]:
        """Return the combinations of the factors beside the one that is searched: each has a limit of its own."""
        if self.search is None:
            return ()
        others = [[(f.name, lv.label) for lv in f.levels] for f in self.factors if f.name != self.search.factor]
        return tuple(place for place in product(*others) if not self.excludes(place))


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials of a design in the order they will run."""

    experiment: Experiment
    cells: tuple[Cell, ...]
    trials: tuple[Trial, ...]

    @property
    def blocks(self) -> tuple[tuple[Trial, ...], ...]:
        """Return the trials block by block."""
        blocks: dict[int, list[Trial]] = {}
        for trial in self.trials:
            blocks.setdefault(trial.block, []).append(trial)
        return tuple(tuple(blocks[b]) for b in sorted(blocks))

    @property
    def block_trials(self) -> int:
        """Return how many trials a block has; of a search about how many."""
        search = self.experiment.search
        if search is not None:
            return SEARCH_PROBES * len(self.experiment.places)
        return len(self.cells) * self.experiment.repetitions.passes


class Status(StrEnum):
    """How a trial ended. Only `complete` trials are analysed."""

    COMPLETE = "complete"
    INVALID = "invalid"  # ran, but what it measured cannot be trusted
    FAILED = "failed"  # did not get to the end


class FailureKind(StrEnum):
    """Whose fault it is that a trial is not complete."""

    INFRA = "infra"
    SUT = "sut"
    CLIENT = "client"
    TREATMENT = "treatment"
    NOISE = "noise"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one trial ended: `outcome.json`, the last file written of a trial."""

    key: str
    status: Status
    reason: str  # empty when complete
    kind: FailureKind | None  # None when complete


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a trial. `skipped` says in `reason` what it lacked; only `failed` makes a trial invalid."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    reason: str = ""
    kind: FailureKind | None = None  # whose fault a failure is

    @property
    def failed(self) -> bool:
        """Say whether the trial cannot be trusted because of this check."""
        return self.state == "failed"


def skipped(name: str, reason: str) -> Check:
    """Return a check that could not be made."""
    return Check(name, "skipped", reason)


def failed(name: str, reason: str, kind: FailureKind) -> Check:
    """Return a check that says the trial is invalid."""
    return Check(name, "failed", reason, kind)


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as the store gives it back: what it was, how it ended, what it measured."""

    number: int
    block: int
    key: str
    directory: str  # relative to the run directory
    host: str
    levels: tuple[tuple[str, str], ...]  # factor and label
    settings: Settings
    outcome: Outcome
    figures: Figures
    overhead_s: float | None
    started_s: float | None  # seconds since 1970 of the window's begin
    connects_per_request: float | None = None  # of its httpd, as calibration measured it; None: not known
    pass_number: int = 1  # from 1 within the block; 0: its cell's windows of the block, their requests taken as one
    watched: bool = True  # as `Trial.watched`
