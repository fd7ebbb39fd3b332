"""The columns of trials.csv and what docs/results.md says of them."""

from dataclasses import fields
from pathlib import Path

from cgidlab import columns
from cgidlab.model import Figures

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_figure_has_a_meaning_and_no_meaning_lacks_its_figure() -> None:
    assert [c.name for c in columns.COLUMNS] == [f.name for f in fields(Figures)]
    assert set(columns._MEANING) == {f.name for f in fields(Figures)}  # noqa: SLF001 -- left-over entries show nowhere else
    assert all(c.description for c in columns.COLUMNS)


def test_a_unit_in_a_name_is_the_unit() -> None:
    units = {"_ms": "ms", "_us": "us", "_rps": "1/s", "_per_s": "1/s"}
    for column in columns.COLUMNS:
        want = next((unit for end, unit in units.items() if column.name.endswith(end)), None)
        if want:
            assert column.unit == want, column.name
        elif column.name.endswith("_share"):
            assert column.unit in ("share", "cores"), column.name
        else:
            assert column.unit == "", column.name


def test_the_documentation_holds_the_table() -> None:
    assert columns.markdown() in (DOCS / "results.md").read_text()
