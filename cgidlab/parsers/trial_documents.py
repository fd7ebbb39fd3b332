"""The documents of a trial that this program writes, as types: what it was, how it ended, what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from cgidlab.model import FailureKind, Figures, Status
from cgidlab.parsers.document import Count, DocumentKind, Fact, HostName, Moment, Positive, Size, is_figure
from cgidlab.parsers.documents import TrialFile

_FIGURES = frozenset(f.name for f in fields(Figures))
_WHOLE = tuple(f.name for f in fields(Figures) if f.type == int | None)
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TrialDocument(TrialFile):
    """`trial.json`, whole."""

    number: Count
    block: Count
    host: HostName
    levels: Mapping[str, str]
    pass_number: Positive
    watched: bool
    environment: str = ""  # empty: not recorded

    def __post_init__(self) -> None:
        """Refuse a trial whose times are none."""
        TrialFile.__post_init__(self)
        for name in ("warmup_s", "window_s"):
            if name not in self.settings:
                raise ValueError(f"has no setting {name}")


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
        wrong = next((n for n, v in self.figures.items() if v and not is_figure(v)), None)
        if wrong is not None:
            raise ValueError(f"has {self.figures[wrong]:.3g} as {wrong}, which nobody measured")

    @property
    def of_today(self) -> bool:
        """Say whether these are the figures that this program knows; a program with others measures again."""
        return self.figures.keys() == _FIGURES


TRIAL = DocumentKind("trial.json", TrialDocument, _MOST_BYTES)
OUTCOME = DocumentKind("outcome.json", OutcomeDocument, _MOST_BYTES)
FIGURES = DocumentKind("figures.json", FiguresDocument)
