"""What the registries of instruments and drivers hold is what roles, figures, modules and docs say there is."""

import re
from pathlib import Path

import pytest

from cgidlab import figures
from cgidlab.design import catalogue
from cgidlab.drivers import DRIVERS
from cgidlab.drivers.base import Driver
from cgidlab.instruments import INSTRUMENTS, WITNESSES
from cgidlab.instruments.base import Instrument
from cgidlab.instruments.controls import CONTROLS, Kind

ROOT = Path(__file__).parents[2]


def each(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, INSTRUMENTS, ids=lambda i: i.name)


def test_every_figure_rests_on_something_that_exists() -> None:
    sources = {c.source for c in figures.COLUMNS.values()}

    known = {i.name for i in INSTRUMENTS} | {figures.LOAD, figures.HEADROOM}
    assert sources <= known, f"figures of no instrument in cgidlab/instruments: {sorted(sources - known)}"
    assert known <= sources, f"instruments without a figure in cgidlab/figures.py: {sorted(known - sources)}"


@each("instrument")
def test_every_instrument_is_documented(instrument: Instrument) -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/instruments.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert instrument.name in headings, f"docs/instruments.md has no section `## {instrument.name}`"
    assert type(instrument).__doc__


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: w.name)
def test_a_witness_is_asked_to_see_something_and_to_see_nothing(witness: Instrument) -> None:
    assert {e.kind for e in witness.expectations} == {Kind.POSITIVE, Kind.NEGATIVE}
    assert {e.control for e in witness.expectations} <= set(CONTROLS)
    asked = {name for e in witness.expectations for name in e.figures}
    assert asked & figures.of(witness.name)
    assert asked <= set(figures.COLUMNS)


def test_a_driver_that_an_experiment_may_name_is_one_whose_rows_can_be_read() -> None:
    assert set(catalogue.load(ROOT / "roles").options["driver"].choices) == set(DRIVERS)


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=lambda d: d.name)
def test_every_driver_makes_load_in_some_loop_and_is_documented(driver: Driver) -> None:
    rows = (
        (ROOT / "docs/instruments.md")
        .read_text(encoding="utf-8")
        .partition("## Driver (rows)")[2]
        .partition("\n## ")[0]
    )

    assert driver.loops
    assert re.search(rf"\b{driver.name}\b", rows), f"docs/instruments.md, `Driver (rows)`, does not name {driver.name}"
    table = (ROOT / "roles/load/README.md").read_text(encoding="utf-8")
    assert f"\n| `{driver.name}` |" in table, f"roles/load/README.md has no row of {driver.name}"
