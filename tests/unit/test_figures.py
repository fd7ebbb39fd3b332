"""What is declared of the figures of trials.csv, and what several sources know together."""

from dataclasses import fields

from cgidlab import figures
from cgidlab.figures import COLUMNS, Figures


def test_every_figure_has_a_meaning_and_a_source() -> None:
    assert list(COLUMNS) == [f.name for f in fields(Figures)]
    assert all(c.meaning and c.source for c in COLUMNS.values())


def test_a_unit_in_a_name_is_the_unit() -> None:
    units = {"_ms": "ms", "_us": "us", "_rps": "1/s", "_per_s": "1/s", "_mb": "MB"}
    for column in COLUMNS.values():
        want = next((unit for end, unit in units.items() if column.name.endswith(end)), None)
        if want:
            assert column.unit == want, column.name
        elif column.name.endswith("_share"):
            assert column.unit in ("share", "cores"), column.name
        else:
            assert column.unit == "", column.name


def test_a_count_is_whole_and_a_measure_is_not() -> None:
    assert (COLUMNS["requests"].kind, COLUMNS["throughput_rps"].kind) == (int, float)


def test_a_fall_costs_where_more_is_better() -> None:
    assert figures.lower_is_worse("throughput_rps")
    assert not figures.lower_is_worse("latency_p99_ms")
    assert not figures.lower_is_worse("queue_limit")


def test_a_name_in_running_text_is_the_declared_one_or_else_the_columns() -> None:
    assert figures.title("latency_p50_ms") == "median latency"
    assert figures.title("swapped_pages") == "swapped_pages"
    assert figures.title("no figure") == "no figure"


def test_sources_add_to_each_other_and_none_of_them_takes_away() -> None:
    parts = (Figures(requests=5, errors=0), Figures(queue_limit=0), Figures(errors=1))

    assert figures.merged(parts) == Figures(requests=5, errors=1, queue_limit=0)
