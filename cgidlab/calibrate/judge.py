"""From a calibration's records to its rows, and to which witnesses are proven."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cgidlab.analysis.intervals import t_interval
from cgidlab.calibrate.checks import EXPECTATIONS
from cgidlab.calibrate.controls import BARE, COSTLY, OBSERVED, ControlTrial, Row, State
from cgidlab.instruments import WITNESSES
from cgidlab.instruments.controls import IDLE, MISSING, Expectation, Kind
from cgidlab.model import Figures, Scalar, Status


def judge(observations: Sequence[ControlTrial]) -> tuple[Row, ...]:
    """Return the rows of one host's trials: every control of every httpd, then the observer effect where it was run."""
    httpds = list(dict.fromkeys(o.httpd for o in sorted(observations, key=lambda o: o.record.number)))
    if len(httpds) < 2:  # noqa: PLR2004 -- several
        return (*_controls(observations), *_costs(observations))
    rows = [replace(r, httpd=h) for h in httpds for r in _controls([o for o in observations if o.httpd == h])]
    return (*rows, *_costs(observations))


def _controls(observations: Sequence[ControlTrial]) -> tuple[Row, ...]:
    latest = {o.control: o for o in sorted(observations, key=lambda o: (o.usable, o.record.number))}
    return tuple(_judged(witness, wanted, latest.get(wanted.control)) for witness, wanted in EXPECTATIONS)


def _judged(witness: str, wanted: Expectation, seen: ControlTrial | None) -> Row:
    def row(found: str, state: State, reason: str) -> Row:
        return Row(wanted.control, wanted.kind, witness, wanted.expected, found, state, reason)

    if seen is None or not seen.usable:
        why = f"its trial: {seen.record.outcome.reason}" if seen else "its trial was not run"
        return row("nothing", State.FAIL, why)
    figures, settings = seen.record.figures, seen.record.settings
    values = {name: getattr(figures, name) for name in wanted.figures}
    found = ", ".join(f"{name} {_number(v)}" for name, v in values.items())
    if None in values.values():
        reason = seen.unavailable.get(witness, "")
        return row(found, State.UNAVAILABLE if reason else State.FAIL, reason or "it gave no figure although it ran")
    if wanted.holds(figures, settings):
        return row(found, State.PASS, "")
    excuse = wanted.excuse(figures)
    return row(found, State.UNAVAILABLE if excuse else State.FAIL, excuse)


def _number(value: Scalar | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) and value < 1000 else f"{value:.0f}"  # noqa: PLR2004 -- three digits are enough


def _costs(observations: Sequence[ControlTrial]) -> list[Row]:
    """Return the ratio of throughput with an instrument to that without, block by block, and its 95 % interval."""
    done = {
        (o.control, o.record.block): o.record.figures.throughput_rps
        for o in observations
        if o.control in OBSERVED and o.record.outcome.status is Status.COMPLETE
    }
    rows = []
    for label, names in OBSERVED.items():
        seen = [o for o in observations if o.control == label]
        if label == BARE or not seen:
            continue
        why = next((o.unavailable[n] for o in seen for n in names if n in o.unavailable), "")
        pairs = [(done.get((label, b)), done.get((BARE, b))) for b in sorted({o.record.block for o in seen})]
        logs = [float(np.log(with_ / without)) for with_, without in pairs if with_ and without]
        interval = t_interval(logs)
        expected = f"throughput not wholly below {COSTLY} of that without"
        if why or interval is None:
            reason = why or "fewer than two blocks are complete"
            rows.append(Row("observer effect", Kind.COST, label, expected, "-", State.UNAVAILABLE, reason))
            continue
        ratio = interval.exp()
        found = f"ratio {np.exp(np.mean(logs)):.3f} ({ratio.low:.3f} to {ratio.high:.3f}, {len(logs)} blocks)"
        state = State.FAIL if ratio.high < COSTLY else State.PASS
        rows.append(Row("observer effect", Kind.COST, label, expected, found, state))
    return rows


def witnesses(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return how each witness did: `positive` and `negative` are passed, failed or unavailable."""
    said = {}
    for witness in WITNESSES:
        said[witness.name] = {
            kind.value: _together([r.state for r in rows if r.witness == witness.name and r.kind is kind])
            for kind in (Kind.POSITIVE, Kind.NEGATIVE)
        }
    return said


def _together(states: Sequence[State]) -> str:
    if State.FAIL in states:
        return "failed"
    return "passed" if State.PASS in states else "unavailable"


def proven(said: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return the witnesses that saw what was done, and nothing where nothing was."""
    return frozenset(name for name, kinds in said.items() if set(kinds.values()) == {"passed"})


_SCRIPT_ERROR = re.compile(
    r"(?P<number>AH\d{5}: )?(?P<prefix>stderr from \S+: )?(?:failed reading PID from cgi daemon"
    r"|cgid daemon is gone; is Apache terminating\?|unable to connect to cgi daemon after multiple tries)"
)


_PASSED_FD = re.compile(r"using passed fd \d+ as stderr")


def httpd_facts(
    observations: Sequence[ControlTrial], error_log: Sequence[str], light_log: Sequence[str] = ()
) -> dict[str, object]:
    """Return what was measured of one httpd: connects a request, retries on ENOENT, form of its messages, fd passing.

    `error_log` holds the lines of the trial whose daemon was killed, `light_log` those of light load, in which the
    daemon says at level debug when a worker handed it a descriptor for the script's stderr. None: could not be seen.
    """
    latest = {o.control: o.record.figures for o in observations if o.usable}
    idle, missing = latest.get(IDLE, Figures()), latest.get(MISSING, Figures())
    message = next((m for line in error_log if (m := _SCRIPT_ERROR.search(line))), None)
    return {
        "connects_per_request": round(idle.connects / idle.requests, 2) if idle.connects and idle.requests else None,
        "retries_on_enoent": None if missing.retries_enoent_in_window is None else missing.retries_enoent_in_window > 0,
        "ah_numbers": None if message is None else bool(message["number"]),
        "stderr_from": None if message is None else bool(message["prefix"]),
        "fd_passing": any(_PASSED_FD.search(line) for line in light_log) if light_log and idle.requests else None,
    }
