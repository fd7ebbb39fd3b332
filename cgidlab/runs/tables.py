"""The table of trials as `trials.csv` and `trials.parquet`: its columns beside the figures, and how a cell is said."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import figures, files
from cgidlab.errors import StoreError
from cgidlab.model import Scalar, TrialRecord
from cgidlab.terminal import printable

# What spreadsheets take for the begin of a formula, in both widths.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class _TableColumn:
    name: str
    kind: type[int] | type[float] | type[str]
    value: Callable[[TrialRecord], Scalar | None]


def write(directory: Path, records: Sequence[TrialRecord]) -> None:
    """Write `trials.csv` and `trials.parquet`: the same rows and columns, one row a trial.

    What was not observed is an empty cell in the one and null in the other. Text
    that a spreadsheet would take for a formula gets an apostrophe in the CSV alone, and what is not shown as
    itself is a mark there.
    """
    columns = _columns([name for name, _ in records[0].levels] if records else [])
    rows = ([c.value(r) for c in columns] for r in records)
    files.write_text(directory / "trials.csv", _csv([c.name for c in columns], rows))
    files.write_bytes(directory / "trials.parquet", _parquet(columns, records))


def write_generators(directory: Path, rows: Sequence[tuple[TrialRecord, Mapping[str, Any]]]) -> None:
    """Write `generators.csv`, a row for each trial and generator; remove it where there is none."""
    path = directory / "generators.csv"
    if not rows:
        try:
            path.unlink(missing_ok=True)
        except OSError as err:
            raise StoreError(f"cannot remove it: {err.strerror}", where=str(path)) from err
        return
    head = ["trial", "block", "host", *rows[0][1]]
    files.write_text(path, _csv(head, ([r.number, r.block, r.host, *row.values()] for r, row in rows)))


def _columns(factors: Sequence[str]) -> tuple[_TableColumn, ...]:
    def level(factor: str) -> Callable[[TrialRecord], Scalar | None]:
        return lambda r: dict(r.levels).get(factor)

    def figure(name: str) -> Callable[[TrialRecord], Scalar | None]:
        return lambda r: getattr(r.figures, name)

    return (
        _TableColumn("trial", int, lambda r: r.number),
        _TableColumn("block", int, lambda r: r.block),
        _TableColumn("pass", int, lambda r: r.pass_number),
        _TableColumn("watched", str, lambda r: "yes" if r.watched else "no"),
        _TableColumn("host", str, lambda r: r.host),
        _TableColumn("status", str, lambda r: r.outcome.status.value),
        _TableColumn("reason", str, lambda r: r.outcome.reason),
        _TableColumn("kind", str, lambda r: r.outcome.kind.value if r.outcome.kind else None),
        *(_TableColumn(name, str, level(name)) for name in factors),
        *(_TableColumn(c.name, c.kind, figure(c.name)) for c in figures.COLUMNS.values()),
        _TableColumn("overhead_s", float, lambda r: r.overhead_s),
        _TableColumn("started_s", float, lambda r: r.started_s),
        _TableColumn("directory", str, lambda r: r.directory),
    )


def _csv(head: Sequence[str], rows: Iterable[Sequence[Scalar | None]]) -> str:
    """Return a table whose names are cells like any other: a factor or a host may be called what a stranger likes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in (head, *rows))
    return text.getvalue()


def _parquet(columns: Sequence[_TableColumn], records: Sequence[TrialRecord]) -> bytes:
    import polars as pl  # noqa: PLC0415 -- dear to import, and most verbs write no table

    kinds = {int: pl.Int64, float: pl.Float64, str: pl.String}
    frame = pl.DataFrame(
        [pl.Series(c.name, [c.value(r) for r in records], dtype=kinds[c.kind], strict=False) for c in columns]
    )
    data = io.BytesIO()
    frame.write_parquet(data)
    return data.getvalue()


def _cell(value: Scalar | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        value = printable(value)
        return f"'{value}" if value.startswith(_FORMULA) else value
    return f"{value:.10g}" if isinstance(value, float) and abs(value) < 1e9 else str(value)  # noqa: PLR2004 -- keeps times whole
