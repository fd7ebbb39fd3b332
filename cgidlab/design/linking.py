"""Settings that follow from factors: `workers: "= clients"`."""

from collections.abc import Mapping, Sequence

from cgidlab.design import arithmetic
from cgidlab.design.arithmetic import BEGINS, Formula
from cgidlab.design.catalogue import Catalogue
from cgidlab.errors import SpecError
from cgidlab.model import Experiment, Factor, Scalar, Settings

_NUMBERS = frozenset({"int", "float"})


def formula(name: str, text: str, catalogue: Catalogue, factors: Sequence[Factor], where: str) -> Formula:
    """Return the formula of a setting, with its sign or without. Raise `SpecError` for one that can have no value."""
    option = catalogue.options.get(name)
    if option is None:
        raise catalogue.no_option(name, where)
    if option.type not in _NUMBERS:
        raise SpecError(f"`{name}` takes {option.type}: only numbers follow from factors", where=where)
    elsewhere = {other: f"`{other}` is no factor here: write its number in the formula" for other in catalogue.options}
    found = arithmetic.read(text.removeprefix(BEGINS).strip(), [f.name for f in factors], where, elsewhere=elsewhere)
    for factor in factors:
        wrong = next((lv for lv in factor.levels if isinstance(lv.value, bool | str)), None)
        if factor.name in found.names and wrong is not None:
            raise SpecError(f"`{factor.name}` has the level {wrong.label}, which is no number", where=where)
    return found


def formulas(experiment: Experiment, catalogue: Catalogue) -> dict[str, Formula]:
    """Return the formulas of an experiment's settings, by their names."""
    return {
        name: formula(name, text, catalogue, experiment.factors, experiment.name) for name, text in experiment.derived
    }


def values(derived: Mapping[str, Formula], levels: Settings, catalogue: Catalogue, where: str) -> dict[str, Scalar]:
    """Return the settings that follow from a cell's levels. Raise `SpecError` where one cannot have its value."""
    found = {}
    for name, asked in derived.items():
        told = f"{name}: {BEGINS} {asked.text}"
        try:
            value = asked.number(levels)
        except arithmetic.NoValue as err:
            raise SpecError(
                f"`{told}` has no value: {err}", where=where, fix="correct it, or exclude the cell"
            ) from err
        if catalogue.options[name].type == "int" and not isinstance(value, int):
            fix = "round it with //, or exclude the cell"
            raise SpecError(f"`{told}` is {value:g}, and `{name}` is a whole number", where=where, fix=fix)
        found[name] = catalogue.check(name, value, f"{where}, {told}")
    return found
