"""`plan.json` as a type: what a run was to be, and that its parts fit each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from cgidlab.model import Figures, LimitTrials
from cgidlab.parsers.document import Count, DocumentKind, Number, Positive, Share, Single, Size

_MOST_BLOCKS, _MOST_PASSES, _MOST_LEVELS = 1000, 100, 10_000
_FIGURES = frozenset(f.name for f in fields(Figures))
_MOST_BYTES = 32 << 20
_LARGEST_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Range:
    """How many blocks to run."""

    min: Positive
    max: Positive
    passes: Positive
    watch_every: Positive
    half_widths: Mapping[str, Share]

    def __post_init__(self) -> None:
        """Refuse more blocks than can be planned."""
        if not self.min <= self.max <= _MOST_BLOCKS:
            raise ValueError(f"is {self.min} to {self.max}")
        if max(self.passes, self.watch_every) > _MOST_PASSES:
            raise ValueError(f"has {self.passes} passes a block, one in {self.watch_every} watched")
        unknown = sorted(self.half_widths.keys() - _FIGURES)
        if unknown:
            raise ValueError(f"names {unknown[0]!r:.60}, which is no figure")


@dataclass(frozen=True, slots=True)
class Extended:
    """How many blocks a run has, if it was extended after it was looked at, and after which blocks that was."""

    min: Positive
    max: Positive
    looked: tuple[Positive, ...]

    def __post_init__(self) -> None:
        """Refuse what no extension can be."""
        if not self.min <= self.max <= _MOST_BLOCKS or not self.looked:
            raise ValueError(f"is extended to {self.min} to {self.max} blocks")
        if list(self.looked) != sorted({*self.looked}) or self.looked[-1] > self.max:
            raise ValueError("was looked at after blocks that are out of order, or that it does not have")


@dataclass(frozen=True, slots=True)
class PlannedLevel:
    """One level of a factor."""

    label: str
    value: Single


@dataclass(frozen=True, slots=True)
class PlannedThreshold:
    """A bound of a figure."""

    figure: str
    sense: Literal["<=", ">="]
    bound: Number

    def __post_init__(self) -> None:
        """Refuse what is no figure."""
        if self.figure not in _FIGURES:
            raise ValueError(f"bounds {self.figure!r:.60}, which is no figure")


@dataclass(frozen=True, slots=True)
class PlannedRequirements:
    """What the outcome rests on."""

    thresholds: tuple[PlannedThreshold, ...] = ()
    overflow: Literal["", "not_observed", "moment"] = ""
    at: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A limit that is to be found."""

    factor: str
    goals: tuple[PlannedThreshold, ...]
    rising: bool
    exceed: Share
    precision: Share
    short_s: Size
    window_s: Size
    blocks: Positive

    def __post_init__(self) -> None:
        """Refuse more blocks than can be planned, and a share of trials that is none."""
        if self.blocks > _MOST_BLOCKS or self.exceed >= 1 or not self.goals:
            raise ValueError("is no search")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the verdict rests on."""

    factor: str
    reference: str
    smallest_effects: Mapping[str, Share]
    bounds: Mapping[str, Size] = field(default_factory=dict)
    required: PlannedRequirements = PlannedRequirements()
    error: Share = 0.05

    def __post_init__(self) -> None:
        """Refuse responses that are no figures, and an error that claims nothing."""
        if self.error > _LARGEST_ERROR:
            raise ValueError(f"has an error of {self.error}")
        unknown = sorted((self.smallest_effects.keys() | self.bounds.keys()) - _FIGURES)
        if unknown:
            raise ValueError(f"has a smallest effect or a bound of {unknown[0]!r:.60}, which is no figure")


@dataclass(frozen=True, slots=True)
class Noise:
    """When a trial counts as disturbed."""

    max_outsider_cpu: Size | None
    max_steal_share: Size | None
    reruns: Count
    max_slowdown_share: Size | None = None


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
    pass_number: Positive = 1
    watched: bool = True


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
    extended: Extended | None = None
    limits: LimitTrials = LimitTrials.OFF
    derived: Mapping[str, str] = field(default_factory=dict)
    search: PlannedSearch | None = None
    hooks: Mapping[Literal["before_trial", "during_window", "after_trial"], tuple[str, ...]] = field(
        default_factory=dict
    )
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of each own script and list of requests

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        labels = {name: [level.label for level in levels] for name, levels in self.factors.items()}
        for name, some in labels.items():
            if not some or len(set(some)) < len(some) or len(some) > _MOST_LEVELS:
                raise ValueError(f"has a factor {name!r:.60} without levels, or with one twice")
        if self.rule.reference not in labels.get(self.rule.factor, ()):
            raise ValueError("has a rule whose factor or reference is none of its own")
        if self.search is not None and self.search.factor not in labels:
            raise ValueError("searches a factor that is none of its own")
        if self.search is not None:
            values = [level.value for level in self.factors[self.search.factor]]
            if any(isinstance(value, bool | str) for value in values):
                raise ValueError("searches among levels that are no numbers")
        for cell in self.cells:
            if cell.levels.keys() != labels.keys() or any(lv not in labels[n] for n, lv in cell.levels.items()):
                raise ValueError(f"has a cell {cell.id!r:.60} that is none of its factors' levels")


PLAN = DocumentKind("plan.json", PlanDocument, _MOST_BYTES)
