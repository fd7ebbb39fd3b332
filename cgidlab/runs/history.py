"""All runs of an experiment, oldest first: what each said, on which versions, and what was new in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cgidlab import rundir
from cgidlab.analysis.change_points import change_points
from cgidlab.analysis.findings import Answer
from cgidlab.compare import differing
from cgidlab.compare.fields import Recorded, Verb
from cgidlab.errors import SpecError, StoreError
from cgidlab.parsers import plan_document
from cgidlab.report.history import HistoryRow, LevelChange, MainEffect
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory
from cgidlab.starting import command

_UNREADABLE = "unreadable"


def runs_of(what: str, results: Path) -> Path:
    """Return the directory of an experiment's runs, from its name, its file or that directory.

    Raise `SpecError` when there is none.
    """
    given = Path(what)
    for path in (given, results / given.name, results / given.stem):
        if path.is_dir() and any(path.glob("*/plan.json")):
            return path
    known = sorted({p.parent.parent.name for p in results.glob("*/*/plan.json")})
    raise SpecError(
        f"there is no run of `{what}`",
        where=str(results),
        fix=f"name one of: {', '.join(known)}" if known else "run an experiment first",
    )


def rows(runs: Path) -> tuple[HistoryRow, ...]:
    """Return a row for each run, oldest first. A run that cannot be read is a row that says so."""
    found: list[HistoryRow] = []
    before: Recorded | None = None
    for path in sorted(p.parent for p in runs.glob("*/plan.json") if not p.parent.is_symlink()):
        run = RunDirectory(path.resolve())
        try:
            row, read = _row(run, before)
        except StoreError as err:
            row, read = HistoryRow(run_id=run.run_id, state=_UNREADABLE, note=str(err).splitlines()[0]), None
        found.append(row)
        before = read or before
    return _with_changes(found)


def _with_changes(rows: Sequence[HistoryRow]) -> tuple[HistoryRow, ...]:
    """Return the rows with what changed from each on: every response at the reference, and the ratio of each level."""
    done = [row.state == store.FINISHED for row in rows]
    series: dict[tuple[str, str], list[float | None]] = {}
    for i, row in enumerate(rows):
        values = {(response, ""): value for response, value in row.medians.items()}
        values |= {(row.response, e.level): e.ratio for e in row.effects if e.ratio is not None}
        for key, value in values.items():
            series.setdefault(key, [None] * len(rows))[i] = value if done[i] else None
    began: dict[int, list[LevelChange]] = {}
    for (response, level), known in series.items():
        for c in change_points(known):
            change = LevelChange(response, level, c.ratio, c.interval.low, c.interval.high, rows[c.seen_at].run_id)
            began.setdefault(c.at, []).append(change)
    return tuple(replace(row, changes=tuple(began.get(i, ()))) for i, row in enumerate(rows))


def _row(run: RunDirectory, before: Recorded | None) -> tuple[HistoryRow, Recorded | None]:
    """Return a run's row, and what the next one is compared with."""
    state = str(run.read("state.json")["state"])
    plan = run.read("plan.json")
    if not rundir.is_there(run.path / "provenance.json"):
        return HistoryRow(run_id=run.run_id, state=state, note="it ended before its first trial"), None
    provenance = run.read("provenance.json")
    now = Recorded(plan, provenance)
    new = differing.worth_telling(differing.between(before, now, Verb.IF_CHANGED)) if before else ()
    hosts = provenance.get("hosts", {}).values()
    versions = {label: str(h.get("version")) for host in hosts for label, h in host["httpd"].items()}
    known = HistoryRow(
        run_id=run.run_id,
        state=state,
        httpd=versions,
        kernel=", ".join(dict.fromkeys(str(host["facts"].get("kernel")) for host in hosts)),
        cgidlab=str(provenance.get("cgidlab") or "not recorded"),
        changed=tuple(map(str, new)),
    )
    if not rundir.is_there(run.path / "summary.json"):
        return replace(known, note=f"it has no summary: `{command('report')}` makes it"), now
    summary = run.read("summary.json")
    response = next(iter(plan["rule"]["smallest_effects"]), "throughput_rps")
    share = plan["rule"]["smallest_effects"].get(response)
    row = replace(
        known,
        trials={str(k): int(v) for k, v in summary["trials"].items()},
        overflow=str(summary["verdict"]["overflow"]),
        verdict=tuple(str(line) for line in summary["verdict"]["lines"]),
        response=response,
        share=share,
        effects=_effects(summary, str(plan["rule"]["factor"]), response),
        reference=_reference(summary, plan["rule"], response),
        medians={
            name: value
            for name in dict.fromkeys((response, *plan["rule"]["smallest_effects"]))
            if (value := _reference(summary, plan["rule"], name)) is not None
        },
    )
    return row, now


def _effects(summary: Mapping[str, Any], factor: str, response: str) -> tuple[MainEffect, ...]:
    """Return the main effect of each level: over all combinations where there are several, else at the only one."""
    mine = [e for e in summary["effects"] if (e["factor"], e["response"]) == (factor, response)]
    pooled = {e["level"] for e in mine if e["pooled"]}
    return tuple(
        MainEffect(
            level=str(e["level"]),
            reference=str(e["reference"]),
            ratio=e["estimate"],
            low=e["interval"][0] if e["interval"] else None,
            high=e["interval"][1] if e["interval"] else None,
            answer=Answer(e["answer"]).value,
        )
        for e in mine
        if e["scale"] == "ratio" and (e["pooled"] or e["level"] not in pooled)
    )


def _reference(summary: Mapping[str, Any], rule: Mapping[str, Any], response: str) -> float | None:
    """Return the response's median at the reference level: over all its cells the mean of their medians."""
    cells = [c for c in summary["cells"] if c["levels"].get(rule["factor"]) == rule["reference"]]
    values = [v for c in cells if (v := c["medians"].get(response)) is not None]
    return sum(values) / len(values) if values else None


def name_of(runs: Path) -> str:
    """Return the name of the experiment whose runs these are."""
    newest = max(p for p in runs.glob("*/plan.json") if not p.parent.is_symlink())
    return plan_document.PLAN.read(newest).experiment
