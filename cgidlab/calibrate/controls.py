"""The words of a calibration, and what is done in each of its trials: the module that makes its plan."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.design.catalogue import Catalogue
from cgidlab.design.plan import trial_key
from cgidlab.instruments import INSTRUMENTS
from cgidlab.instruments.controls import CONTROLS, IDLE, Kind
from cgidlab.model import (
    Cell,
    Experiment,
    Factor,
    FailureKind,
    Level,
    NoisePolicy,
    Plan,
    Repetitions,
    Scalar,
    Settings,
    Status,
    Trial,
    TrialRecord,
    VerdictRule,
)

NAME = "calibration"
FACTOR = "control"
BARE = "no instrument"
BLOCKS = 6
COSTLY = 0.9  # a throughput ratio that no instrument may be known to fall below


class State(StrEnum):
    """How a row ended."""

    PASS = "pass"  # noqa: S105 -- not a password
    FAIL = "fail"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ControlTrial:
    """One trial of a calibration, and which instruments could not run in it, with their reasons."""

    record: TrialRecord
    unavailable: Mapping[str, str]

    @property
    def control(self) -> str:
        """Return the label of the trial's control."""
        return dict(self.record.levels)[FACTOR]

    @property
    def httpd(self) -> str:
        """Return which httpd ran."""
        return str(self.record.settings["httpd"])

    @property
    def usable(self) -> bool:
        """Say whether its witnesses can be judged. A client that gave up does not take the daemon's fault back."""
        outcome = self.record.outcome
        return outcome.status is Status.COMPLETE or (
            outcome.status is Status.INVALID and outcome.kind is FailureKind.CLIENT
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    control: str
    kind: Kind
    witness: str
    expected: str
    found: str
    state: State
    reason: str = ""
    httpd: str = ""  # which, where there are several


def _together() -> dict[str, tuple[str, ...]]:
    """Return which instruments are on in each trial of the observer effect."""
    on: dict[str, tuple[str, ...]] = {BARE: ()}
    for instrument in INSTRUMENTS:
        if instrument.cost_row:
            on[instrument.cost_row] = (*on.get(instrument.cost_row, ()), instrument.name)
    return on


OBSERVED: Mapping[str, tuple[str, ...]] = _together()
_INSTRUMENTS = tuple(i.name for i in INSTRUMENTS if i.cost_row)
_COMMON: Mapping[str, Scalar] = {
    "clients": 60,
    "workers": 100,
    # One process with more workers than clients: httpd never closes a connection for want of a worker.
    "threads_per_child": 100,
    "log_level": "warn cgid:debug",
    "warmup_s": 0.3,
}


def make_plan(catalogue: Catalogue, *, target: str, httpds: Sequence[str], controls_only: bool) -> Plan:
    """Return the controls of each httpd as block 1 and, unless left out, the observer effect in random order.

    That is shown with the first httpd alone, as blocks 2 to 7: instruments look at the kernel.
    """
    base = {**catalogue.defaults(), **_COMMON, "httpd": httpds[0]}
    with_all = dict.fromkeys(_INSTRUMENTS, True)
    controls = [
        _cell(label, {**base, **with_all, **own, "httpd": httpd}, number if len(httpds) > 1 else 0)
        for number, httpd in enumerate(httpds, start=1)
        for label, own in CONTROLS.items()
    ]
    observers = [
        _cell(label, {**base, **{name: name in on for name in _INSTRUMENTS}, "window_s": 1.5})
        for label, on in ({} if controls_only else OBSERVED).items()
    ]
    trials = [Trial(n, 1, cell, trial_key(cell, 1)) for n, cell in enumerate(controls, start=1)]
    for block in range(2, 2 + BLOCKS):
        order = list(observers)
        random.Random(f"{NAME}:{block}").shuffle(order)  # noqa: S311 -- an order, not a secret
        trials += [Trial(len(trials) + n, block, cell, trial_key(cell, block)) for n, cell in enumerate(order, start=1)]
    cells = (*controls, *observers)
    experiment = Experiment(
        name=NAME,
        question="Does each witness see what is done to the queue, and nothing where nothing is done?",
        target=target,
        factors=_factors(cells),
        settings={"httpd": httpds[0], **_COMMON},
        exclude=(),
        repetitions=Repetitions(1, 1),
        seed=0,
        instruments=_INSTRUMENTS,
        rule=VerdictRule(FACTOR, IDLE, ()),
        noise=NoisePolicy(None, None, 0),  # a control must hold on a busy host too
        source="# Made by `./runner.py calibrate`; plan.json has its trials.\n",
    )
    return Plan(experiment, cells, tuple(trials))


def _factors(cells: Sequence[Cell]) -> tuple[Factor, ...]:
    """Return the control and, where there are several, the httpd, with the levels that the cells have."""
    levels: dict[str, dict[str, Level]] = {}
    for cell in cells:
        for name, level in cell.levels:
            levels.setdefault(name, {})[level.label] = level
    return tuple(Factor(name, tuple(found.values())) for name, found in levels.items())


def _cell(label: str, settings: Settings, number: int = 0) -> Cell:
    """Return one cell; `number` tells the httpds apart where there are several."""
    id_, levels = f"{FACTOR}={label.replace(' ', '_')}", [(FACTOR, Level(label, label))]
    if number:
        id_ += f",httpd={number}"
        levels.append(("httpd", Level(str(settings["httpd"]), settings["httpd"])))
    return Cell(id=id_, levels=tuple(levels), settings=settings)
