"""trials.csv and trials.parquet are the same table, the one for eyes and the other with types."""

import csv
from dataclasses import replace
from pathlib import Path

import polars as pl

from cgidlab.model import Figures, Outcome, Status, TrialRecord
from cgidlab.runs import tables
from tests.unit.trial_records import trial

RECORDS = (
    trial(1, Figures(requests=10, throughput_rps=5.0, queue_depth_max=6), {"listen_backlog": "5"}, started_s=1.8e9),
    trial(2, Figures(), {"listen_backlog": "=cmd()"}, status=Status.FAILED, reason="=1+1"),
)


def written(directory: Path, records: tuple[TrialRecord, ...] = RECORDS) -> tuple[list[list[str]], pl.DataFrame]:
    tables.write(directory, records)
    with (directory / "trials.csv").open(newline="") as stream:
        return list(csv.reader(stream)), pl.read_parquet(directory / "trials.parquet")


def test_both_tables_have_the_same_columns_and_rows(tmp_path: Path) -> None:
    (head, *rows), frame = written(tmp_path)

    assert head == frame.columns
    assert len(rows) == frame.height == 2


def test_parquet_has_the_types_of_the_figures(tmp_path: Path) -> None:
    _, frame = written(tmp_path)

    want = {
        "trial": pl.Int64,
        "listen_backlog": pl.String,
        "queue_depth_max": pl.Int64,
        "throughput_rps": pl.Float64,
        "latency_p99_ms": pl.Float64,  # nobody observed it, which is no reason for another type
        "started_s": pl.Float64,
    }
    assert {name: frame.schema[name] for name in want} == want


def test_what_was_not_observed_is_empty_in_the_one_and_null_in_the_other(tmp_path: Path) -> None:
    (head, _, second), frame = written(tmp_path)

    assert second[head.index("requests")] == ""
    assert frame["requests"].to_list() == [10, None]
    assert frame["kind"].to_list() == [None, "infra"]


def test_a_formula_is_disarmed_for_spreadsheets_alone(tmp_path: Path) -> None:
    (head, _, second), frame = written(tmp_path)

    assert second[head.index("reason")] == "'=1+1"
    assert frame["reason"][1] == "=1+1"
    assert frame["listen_backlog"][1] == "=cmd()"


def test_a_name_that_a_strangers_run_gives_to_a_factor_or_a_host_is_no_formula(tmp_path: Path) -> None:
    record = replace(trial(1, Figures(), {"=cmd|calc": "5"}), host="=1+1")

    (head, first), frame = written(tmp_path, (record,))
    tables.write_generators(tmp_path, [(record, {"generator": "@SUM(1)", "rows": 3})])
    with (tmp_path / "generators.csv").open(newline="") as stream:
        generators = list(csv.reader(stream))

    assert "'=cmd|calc" in head
    assert first[head.index("host")] == "'=1+1"
    assert "=cmd|calc" in frame.columns
    assert generators[1] == ["1", str(record.block), "'=1+1", "'@SUM(1)", "3"]


def test_a_figure_that_came_out_whole_keeps_its_columns_type(tmp_path: Path) -> None:
    whole = replace(RECORDS[0], figures=Figures(throughput_rps=5), outcome=Outcome("k", Status.COMPLETE, "", None))

    _, frame = written(tmp_path, (whole, RECORDS[0]))

    assert frame["throughput_rps"].to_list() == [5.0, 5.0]


def test_a_run_without_trials_has_a_table_without_rows(tmp_path: Path) -> None:
    rows, frame = written(tmp_path, ())

    assert len(rows) == 1
    assert frame.height == 0
    assert frame.schema["requests"] == pl.Int64
