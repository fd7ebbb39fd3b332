"""Servers that are made to be limited by something known, and what must be named of each. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cgidlab.analysis.interventions import HeldBack, LimitsShown, LimitWord
from cgidlab.calibrate.controls import Row, State
from cgidlab.design import limiting
from cgidlab.design.catalogue import Catalogue, instruments
from cgidlab.errors import SpecError
from cgidlab.instruments.controls import Kind
from cgidlab.model import (
    Cell,
    Experiment,
    Factor,
    Level,
    NoisePolicy,
    Plan,
    Repetitions,
    Scalar,
    Settings,
    VerdictRule,
)

NAME = "calibration-limits"
FILE = "limits.json"
_FACTOR = "control"
_OVER = "the whole trial"


@dataclass(frozen=True, slots=True)
class LimitControl:
    """One server, and what limits it."""

    settings: Mapping[str, Scalar]
    limits: tuple[str, ...]  # components; empty: nothing of the server
    open: tuple[str, ...] = ()  # components of which it is not known what they do there


LIMIT_CONTROLS: Mapping[str, LimitControl] = {
    # 3 ms of CPU for each of the two connections of a request: one core, and little for all others.
    "slow daemon": LimitControl({"patches": "slow-daemon"}, ("cgid daemon",)),
    # Nearly all CPU that a request costs is its script's, and answers take half of what is left out of a slot.
    "busy scripts": LimitControl({"script": "burn", "burn_ms": 10, "clients": 20}, ("host CPU", "scripts")),
    # 5 ms of the driver's own CPU for each answer, in its one thread: 19 of 20 answers wait for it, whatever the server
    # does. It is CPU, and not a pause: a pause goes on while the driver is stopped, so that a stop would cost less than
    # its share. One client alone is no such driver: everything that a request needs limits it, one after the other.
    "slow driver": LimitControl({"driver": "steady", "driver_cpu_us": 5000, "clients": 20}, ("driver",)),
    # Clients wait for a worker, and workers for scripts that use nothing. A third of the clients at most waits, so that
    # what holds a worker gets it at once; workers are many and scripts short, so that a slot has many of their ends
    # although workers keep step. ab comes back when httpd closes a connection for want of a worker; h2load does not.
    "slow script": LimitControl(
        {
            "script": "sleep",
            "sleep_ms": 50,
            "workers": 20,
            "threads_per_child": 20,
            "clients": 30,
            "driver": "ab",
        },
        ("MaxRequestWorkers", "scripts"),
    ),
    # After each request a worker waits 10 ms or more for its script to be reaped, unless that is so at its first look:
    # whose script ends a little later waits more often, and how often is not known.
    "few workers": LimitControl(
        {"workers": 2, "threads_per_child": 2, "clients": 8, "driver": "ab"}, ("MaxRequestWorkers",), ("scripts",)
    ),
    "few requests": LimitControl({"loop": "open", "rate": 100}, ()),
}
_COMMON: Mapping[str, Scalar] = {
    "listen_backlog": 1024,
    "clients": 40,
    "workers": 100,
    "threads_per_child": 100,
}


def asked(names: Sequence[str]) -> Mapping[str, LimitControl]:
    """Return the controls of such names, in the order of all; all of them for none. Raise `SpecError` for another."""
    for name in names:
        if name not in LIMIT_CONTROLS:
            able = ", ".join(f"`{one}`" for one in LIMIT_CONTROLS)
            raise SpecError(f"no control is called `{name}`", where="--control", fix=f"use one of {able}")
    return {name: made for name, made in LIMIT_CONTROLS.items() if not names or name in names}


def make_plan(catalogue: Catalogue, *, target: str, httpd: str, names: Sequence[str] = ()) -> Plan:
    """Return one trial of each control that is asked for, in which things are held back as in a run's."""
    off = dict.fromkeys(instruments(catalogue), False)
    base = {**catalogue.defaults(), **_COMMON, "httpd": httpd, **off}
    cells = tuple(_cell(name, {**base, **c.settings, **limiting.BESIDE}) for name, c in asked(names).items())
    experiment = Experiment(
        name=NAME,
        question="Is what limits a server named where it is known?",
        target=target,
        factors=(Factor(_FACTOR, tuple(level for cell in cells for _, level in cell.levels)),),
        settings={"httpd": httpd, **_COMMON},
        exclude=(),
        repetitions=Repetitions(1, 1),
        seed=0,
        instruments=(),
        rule=VerdictRule(_FACTOR, next(iter(asked(names))), ()),
        noise=NoisePolicy(None, None, 0),  # a control must hold on a busy host too
        source="# Made by `./runner.py calibrate --limits`; plan.json has its trials.\n",
    )
    return Plan(experiment, cells, tuple(limiting.of_cell(c, n) for n, c in enumerate(cells, start=1)))


def _cell(label: str, settings: Settings) -> Cell:
    return Cell(f"{_FACTOR}={label.replace(' ', '_')}", ((_FACTOR, Level(label, label)),), settings)


def judge(found: Iterable[LimitsShown], names: Sequence[str] = ()) -> tuple[Row, ...]:
    """Return a row for each thing that must be named in each control asked for, and one for each that must not."""
    by_control = {dict(one.levels)[_FACTOR]: one for one in found}
    rows: list[Row] = []
    for control, made in asked(names).items():
        seen = by_control.get(control)
        if seen is None or not seen.held:
            why = "its trial was not run" if seen is None else seen.reason
            wanted = "limits" if made.limits else "nothing limits"
            of = made.limits or (_OVER,)
            rows += [Row(control, Kind.POSITIVE, one, wanted, "nothing", State.FAIL, why) for one in of]
            continue
        known = [held for held in _first(seen.held, made.limits) if held.component not in made.open]
        rows += [_row(control, held, named=held.component in made.limits) for held in known]
    return tuple(rows)


def _first(held: Sequence[HeldBack], components: Collection[str]) -> list[HeldBack]:
    return sorted(held, key=lambda h: h.component not in components)


def _row(control: str, held: HeldBack, *, named: bool) -> Row:
    kind, expected = (Kind.POSITIVE, "limits") if named else (Kind.NEGATIVE, "not said to limit")
    if held.elasticity is None or held.interval is None:
        return Row(control, kind, held.component, expected, "-", State.UNAVAILABLE, held.reason)
    found = f"{held.word.value}: {held.elasticity:.2f} ({held.interval.low:.2f} to {held.interval.high:.2f})"
    right = (held.word is LimitWord.LIMITS) == named
    return Row(control, kind, held.component, expected, found, State.PASS if right else State.FAIL, held.reason)
