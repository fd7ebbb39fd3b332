"""The version of each kind of document, and how an older one is brought up to date: both are here and nowhere else.

A kind is the name of its file. To change a format: raise its number in `CURRENT`, add the step from the version
before to `_STEPS`, and keep a document of that version in tests/data.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cgidlab.errors import StoreError

Raw = dict[str, Any]

CURRENT: Mapping[str, int] = {
    # of a trial, as the helper on its host writes it
    "result.json": 1,
    "readback.json": 1,
    "host.json": 1,
    "sentinel.json": 1,
    "interventions.json": 1,
    "reloads.json": 1,
    "snapshot": 1,
    "observed host": 1,
    # of provisioning
    "host report": 1,
    "generator report": 1,
    # of a trial, as this program writes it
    "trial.json": 2,
    "outcome.json": 1,
    "figures.json": 2,
    "clocks.json": 1,
    "observed.json": 1,
    # of a run
    "plan.json": 4,
    "asked.json": 1,
    "state.json": 1,
    "provenance.json": 2,
    "journal.json": 1,
    "differences.json": 1,
    "summary.json": 2,
    "observation.json": 1,
    "listeners.json": 1,
    "calibration.json": 1,
    "limits.json": 1,
    "trace.json": 1,
    # of several runs
    "bisect.json": 1,
}


def stamped(kind: str, value: Mapping[str, Any]) -> Raw:
    """Return a document of a kind as it is written: with its version first."""
    return {"schema_version": CURRENT[kind], **value}


def up_to_date(kind: str, value: Raw, where: str) -> Raw:
    """Return a document in the form of today's version. Raise `StoreError` for a version nobody here knows."""
    version, newest = value.get("schema_version"), CURRENT[kind]
    if type(version) is not int or version < 1:
        said = "is missing" if "schema_version" not in value else f"is {version!r:.40}"
        raise StoreError(f"schema_version {said}; this program reads 1 to {newest}", where=where)
    if version > newest:
        raise StoreError(
            f"schema_version is {version!r:.40}; this program reads up to {newest}",
            where=where,
            fix="use the version of cgidlab that wrote it, or a newer one",
        )
    for step in range(version, newest):
        value = {**_STEPS[kind, step](value), "schema_version": step + 1}
    return value


def _plan_says_its_kind(plan: Raw) -> Raw:
    """Version 2 always says what kind of run it is, and when a trial counts as disturbed."""
    undisturbed = {"max_outsider_cpu": None, "max_steal_share": None, "reruns": 0}
    return {"kind": "experiment", "noise": undisturbed, **plan}


def _plan_has_passes(plan: Raw) -> Raw:
    """Version 3 says how many passes a block has, which of them are watched, and how well comparisons are to be known.

    Before there was one, watched, until all was decided.
    """
    repetitions = plan.get("repetitions")
    if not isinstance(repetitions, dict):
        return plan  # refused as what it is
    return {**plan, "repetitions": {"passes": 1, "watch_every": 1, "half_widths": {}, **repetitions}}


def _plan_asks_more(plan: Raw) -> Raw:
    """Version 4 says more of what was asked.

    Which values are not to be passed, what the outcome rests on, which settings follow from factors, which limit is
    searched for; and of a run that was extended, to how many blocks. Before, none was there.
    """
    rule = plan.get("rule")
    if not isinstance(rule, dict):
        return plan  # refused as what it is
    return {
        "extended": None,
        "derived": {},
        "search": None,
        **plan,
        "rule": {"bounds": {}, "required": {"thresholds": [], "overflow": "", "at": []}, **rule},
    }


def _trial_is_of_a_pass(trial: Raw) -> Raw:
    """Version 2 says of which pass a trial is, and whether that was watched. Before there was one, watched."""
    return {"pass_number": 1, "watched": True, **trial}


# What version 1 called by the program's other name; a generator is a machine.
_DRIVER = {
    "loadgen_cpu_share": "driver_cpu_share",
    "loadgen_headroom_share": "driver_headroom_share",
    "load generator": "driver",
    "loadgen": "driver",
}


def _summary_of_a_driver(summary: Raw) -> Raw:
    """Version 2 names the driver's figures and limit by it, and says of drift how far the blocks were apart."""
    drift = summary.get("drift")
    older = isinstance(drift, dict) and "range" not in drift  # what that version first said of it: a slope
    return {k: _with_words(v) for k, v in {**summary, **({"drift": None} if older else {})}.items()}


def _provenance_of_a_driver(provenance: Raw) -> Raw:
    """Version 2 names the driver's CPU in `load_headroom` by it."""
    return {k: _with_words(v) if k == "load_headroom" else v for k, v in provenance.items()}


def _with_words(value: Any) -> Any:  # noqa: ANN401 -- any part of a document
    """Return a part of a document with its keys, and the name of a limit or a check, in the words of today."""
    if isinstance(value, list):
        return [_with_words(v) for v in value]
    if not isinstance(value, dict):
        return value
    named = {k: _DRIVER.get(v, v) if k == "name" and isinstance(v, str) else _with_words(v) for k, v in value.items()}
    return {_DRIVER.get(k, k): v for k, v in named.items()}


_STEPS: Mapping[tuple[str, int], Callable[[Raw], Raw]] = {
    ("plan.json", 1): _plan_says_its_kind,
    ("plan.json", 2): _plan_has_passes,
    ("plan.json", 3): _plan_asks_more,
    ("trial.json", 1): _trial_is_of_a_pass,
    ("figures.json", 1): _with_words,
    ("summary.json", 1): _summary_of_a_driver,
    ("provenance.json", 1): _provenance_of_a_driver,
}
"""From the kind and the version of a document to what makes the next version of it."""
