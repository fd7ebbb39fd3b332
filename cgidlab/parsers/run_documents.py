"""The documents of a run as types: what they must hold for anybody to read them (docs/results.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from cgidlab.model import FailureKind, Figures, Level, Status
from cgidlab.parsers.document import (
    Count,
    Fact,
    HostName,
    Kind,
    Moment,
    Number,
    Positive,
    Share,
    Single,
    Size,
)

_MOST_BLOCKS, _MOST_LEVELS = 1000, 10_000
_LONGEST_S = 1e7  # of a warm-up or window: four months
_FIGURES = tuple(f.name for f in fields(Figures))
_WHOLE = tuple(f.name for f in fields(Figures) if f.type == int | None)
_SMALLEST, _LARGEST = 1e-30, 1e15  # of a figure that is not 0: what is beyond is no measurement, and overflows later


# --- a trial, as this program writes it


@dataclass(frozen=True, slots=True)
class TrialDocument:
    """`trial.json`."""

    number: Count
    block: Count
    key: str
    host: HostName
    levels: Mapping[str, str]
    settings: Mapping[str, Single]
    environment: str = ""  # empty: not recorded

    def __post_init__(self) -> None:
        """Refuse a trial whose times are none."""
        for name in ("warmup_s", "window_s"):
            value = self.settings.get(name)
            if isinstance(value, bool | str | None) or not 0 <= value <= _LONGEST_S:
                raise ValueError(f"has a setting {name} of {value!r:.40}")


@dataclass(frozen=True, slots=True)
class OutcomeDocument:
    """`outcome.json`."""

    key: str
    status: Status
    reason: str
    kind: FailureKind | None

    def __post_init__(self) -> None:
        """Refuse an end that nobody gives a trial."""
        if (self.status is Status.COMPLETE) != (self.kind is None):
            raise ValueError(f"is {self.status.value} with the kind {self.kind}")


@dataclass(frozen=True, slots=True)
class FiguresDocument:
    """`figures.json`: what was measured of a trial."""

    figures: Mapping[str, int | float | None]
    overhead_s: Size | None
    started_s: Moment | None
    throughput_rps: tuple[Size, ...]
    generators: tuple[Mapping[str, Fact], ...] = ()

    def __post_init__(self) -> None:
        """Refuse figures that no trial has."""
        for name in _WHOLE:
            if isinstance(self.figures.get(name), float):
                raise ValueError(f"has no whole number as {name}")  # noqa: TRY004 -- pydantic reports a ValueError
        for name, value in self.figures.items():
            if value and not _SMALLEST <= abs(value) <= _LARGEST:
                raise ValueError(f"has {value:.3g} as {name}, which nobody measured")

    @property
    def of_today(self) -> bool:
        """Say whether these are the figures that this program knows; a program with others measures again."""
        return self.figures.keys() == set(_FIGURES)


# --- plan.json


@dataclass(frozen=True, slots=True)
class Range:
    """How many blocks to run."""

    min: Positive
    max: Positive

    def __post_init__(self) -> None:
        """Refuse more blocks than can be planned."""
        if not self.min <= self.max <= _MOST_BLOCKS:
            raise ValueError(f"is {self.min} to {self.max}")


@dataclass(frozen=True, slots=True)
class PlannedLevel:
    """One level of a factor."""

    label: str
    value: Single


@dataclass(frozen=True, slots=True)
class Rule:
    """What the verdict rests on."""

    factor: str
    reference: str
    smallest_effects: Mapping[str, Share]

    def __post_init__(self) -> None:
        """Refuse responses that are no figures."""
        unknown = sorted(self.smallest_effects.keys() - set(_FIGURES))
        if unknown:
            raise ValueError(f"has a smallest effect of {unknown[0]!r:.60}, which is no figure")


@dataclass(frozen=True, slots=True)
class Noise:
    """When a trial counts as disturbed."""

    max_outsider_cpu: Size | None
    max_steal_share: Size | None
    reruns: Count


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One cell of the design."""

    id: str
    levels: Mapping[str, str]
    settings: Mapping[str, Single]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One trial of the plan."""

    number: Positive
    block: Positive
    cell: str
    key: str


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """`plan.json`."""

    kind: Literal["experiment", "observation"]
    experiment: str
    question: str
    target: str
    seed: Count
    repetitions: Range
    instruments: tuple[str, ...]
    settings: Mapping[str, Single]
    exclude: tuple[tuple[tuple[str, str], ...], ...]
    factors: Mapping[str, tuple[PlannedLevel, ...]]
    rule: Rule
    noise: Noise
    cells: tuple[PlannedCell, ...]
    trials: tuple[PlannedTrial, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        labels = {name: [level.label for level in levels] for name, levels in self.factors.items()}
        for name, some in labels.items():
            if not some or len(set(some)) < len(some) or len(some) > _MOST_LEVELS:
                raise ValueError(f"has a factor {name!r:.60} without levels, or with one twice")
        if self.rule.reference not in labels.get(self.rule.factor, ()):
            raise ValueError("has a rule whose factor or reference is none of its own")
        for cell in self.cells:
            if cell.levels.keys() != labels.keys() or any(lv not in labels[n] for n, lv in cell.levels.items()):
                raise ValueError(f"has a cell {cell.id!r:.60} that is none of its factors' levels")

    def level(self, factor: str, label: str) -> Level:
        """Return one level as the other stages know it."""
        return next(Level(lv.label, lv.value) for lv in self.factors[factor] if lv.label == label)


# --- state.json


@dataclass(frozen=True, slots=True)
class Spent:
    """What was run when a block had ended."""

    blocks: Count
    spent_s: Size


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a budget cut the run."""

    budget_s: Size
    blocks: Count


@dataclass(frozen=True, slots=True)
class LostServer:
    """A server that was lost."""

    host: str
    block: Count
    why: str


@dataclass(frozen=True, slots=True)
class StateDocument:
    """`state.json`."""

    state: Literal["running", "interrupted", "finished"]
    pid: Positive | None = None
    started_ticks: Count | None = None
    boot_id: str | None = None
    changed_at: str | None = None
    asked_budget_s: Size | None = None
    expected_trials: Count | None = None
    estimated_s: Size | None = None
    spent: Spent | None = None
    stopped: str | None = None
    budget: Budget | None = None
    lost: tuple[LostServer, ...] = ()


# --- provenance.json


@dataclass(frozen=True, slots=True)
class Git:
    """The working copy; empty where there was none."""

    commit: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """What the control machine runs."""

    python: str = ""
    kernel: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsedHttpd:
    """One httpd of a host."""

    version: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    build_key: str | None = None
    compiler: str | None = None


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A script or a program of a host."""

    path: str | None = None
    sha256: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class UsedHost:
    """One host that was measured."""

    facts: Mapping[str, Fact]
    httpd: Mapping[str, UsedHttpd]
    scripts: Mapping[str, UsedFile] = field(default_factory=dict)
    tools: Mapping[str, UsedFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the results of a host depend on."""

    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CalibratedHttpd:
    """What was measured of an httpd."""

    connects_per_request: Size | None = None


@dataclass(frozen=True, slots=True)
class CalibratedHost:
    """Which witnesses are proven on a host."""

    run: str | None
    witnesses: Mapping[str, Mapping[str, str]]
    httpd: Mapping[str, CalibratedHttpd] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """By which calibration witnesses count."""

    hosts: Mapping[str, CalibratedHost] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a load generator can do; a reason where that is not known."""

    throughput_rps: Size | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """One time that the run went on."""

    at: str
    done: Count


@dataclass(frozen=True, slots=True)
class ProvenanceDocument:
    """`provenance.json`. What is not there was not recorded."""

    cgidlab: str | None = None
    git: Git = Git()
    roles_sha256: str | None = None
    playbooks_sha256: str | None = None
    measuring_sha256: str | None = None
    control: Control = field(default_factory=Control)
    experiment_sha256: str | None = None
    hosts: Mapping[str, UsedHost] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    calibration: Calibration | None = None
    load_headroom: Mapping[str, Mapping[str, Headroom]] = field(default_factory=dict)
    resumed: tuple[Resumed, ...] = ()


# --- what is derived, and what is kept beside


@dataclass(frozen=True, slots=True)
class HostDifference:
    """One thing of a host that is not as it was."""

    what: str
    text: str
    sense: Literal["run", "unknown", "others"]


@dataclass(frozen=True, slots=True)
class HostDifferences:
    """What is not as it was on a host, and why that is not known."""

    differences: tuple[HostDifference, ...]
    unknown: str


@dataclass(frozen=True, slots=True)
class DifferencesDocument:
    """`differences.json`."""

    hosts: Mapping[HostName, HostDifferences]


@dataclass(frozen=True, slots=True)
class SummaryVerdict:
    """The verdict of a summary."""

    overflow: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SummaryEffect:
    """One comparison of a summary."""

    response: str
    factor: str
    level: str
    reference: str
    pooled: bool
    scale: str
    estimate: Number | None
    interval: tuple[Number, Number] | None
    answer: str


@dataclass(frozen=True, slots=True)
class SummaryCell:
    """One cell of a summary."""

    levels: Mapping[str, str]
    medians: Mapping[str, Number | None]


@dataclass(frozen=True, slots=True)
class SummaryDocument:
    """`summary.json`, as far as it is read again."""

    trials: Mapping[str, Count]
    verdict: SummaryVerdict
    effects: tuple[SummaryEffect, ...]
    cells: tuple[SummaryCell, ...]


@dataclass(frozen=True, slots=True)
class ObservationDocument:
    """`observation.json` of a run."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalibratedBuild:
    """One httpd of a calibration."""

    build_key: str
    connects_per_request: Size | None = None


@dataclass(frozen=True, slots=True)
class CalibrationEntry:
    """One host of a calibration."""

    machine_id_sha256: str | None
    kernel: str | None
    helper: str
    witnesses: Mapping[str, Mapping[str, str]]
    builds: tuple[CalibratedBuild, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationDocument:
    """`calibration.json`."""

    hosts: tuple[CalibrationEntry, ...]


_SMALL, _LARGE = 1 << 20, 32 << 20

TRIAL = Kind("trial.json", TrialDocument, _SMALL)
OUTCOME = Kind("outcome.json", OutcomeDocument, _SMALL)
FIGURES = Kind("figures.json", FiguresDocument)
PLAN = Kind("plan.json", PlanDocument, _LARGE)
SUMMARY = Kind("summary.json", SummaryDocument, _LARGE)
CALIBRATION = Kind("calibration.json", CalibrationDocument)
OF_A_RUN: Mapping[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        PLAN,
        SUMMARY,
        CALIBRATION,
        Kind("state.json", StateDocument, _SMALL),
        Kind("provenance.json", ProvenanceDocument),
        Kind("differences.json", DifferencesDocument),
        Kind("observation.json", ObservationDocument),
    )
}
"""What lies in a run's directory and is read as it is, by its name."""
