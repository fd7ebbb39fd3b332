"""Instruments and drivers are the same sets everywhere: in their role, where they are wanted, run and read."""

import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cgidhost import load as host_load
from cgidhost import trial as host_trial

from cgidlab import calibrate, drivers, instruments
from cgidlab.design import catalogue

ROLES = Path(__file__).parents[2] / "roles"
SERVERS_OWN = {"error_log"}  # witnesses that are no instruments: what the server writes by itself,
DRIVERS_OWN = {"load"}  # and what the driver does


def role(name: str) -> dict[str, Any]:
    """Return the options that a role declares."""
    text = (ROLES / name / "meta/argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def variables(path: str) -> dict[str, Any]:
    """Return the variables of a role's file."""
    values: dict[str, Any] = yaml.safe_load((ROLES / path).read_text(encoding="utf-8"))
    return values


def switched() -> set[str]:
    """Return the instruments that an experiment can turn on."""
    return {name.removeprefix("instruments_") for name in role("instruments")} - {"wanted"}


def modules_of(package: Any) -> set[str]:  # noqa: ANN401 -- a module has no type of its own
    """Return what a package of the control side has a file for."""
    return {module.name for module in pkgutil.iter_modules(package.__path__)}


def runs() -> set[str]:
    """Return the instruments that the helper on the host can run."""
    return set(host_trial.INSTRUMENTS)


def plans() -> set[str]:
    """Return the drivers that the helper on the host can start."""
    return set(host_load._PLANS)  # noqa: SLF001 -- nobody else asks for all of them


def read_as() -> set[str]:
    """Return the instruments that the control side has a reader for."""
    return {{"host_counters": "host"}.get(name, name) for name in modules_of(instruments)}


INSTRUMENTS: Mapping[str, Callable[[], set[str]]] = {
    "may be wanted (roles/instruments, instruments_wanted)": lambda: set(
        role("instruments")["instruments_wanted"]["choices"]
    ),
    "may be named in an experiment (cgidlab.design.catalogue)": lambda: set(
        catalogue.instruments(catalogue.load(ROLES))
    ),
    "can be run (cgidhost)": runs,
    "can be read (cgidlab.instruments)": read_as,
}
DRIVERS: Mapping[str, Callable[[], set[str]]] = {
    "may be installed (roles/load, load_drivers)": lambda: set(role("load")["load_drivers"]["choices"]),
    "are asked for their version (roles/load/vars)": lambda: set(
        variables("load/vars/main.yml")["__load_version_arguments"]
    ),
    "can be started (cgidhost)": plans,
    "can be read (cgidlab.drivers)": lambda: modules_of(drivers),
}


def told(half: str, found: set[str], want: set[str], where: str) -> str:
    """Return what is missing or too much in one half, by name; '' where nothing is."""
    missing = [f"{name} is not in those that {half}" for name in sorted(want - found)]
    extra = [f"{name} is in those that {half} and not in {where}" for name in sorted(found - want)]
    return "; ".join(missing + extra)


@pytest.mark.parametrize("half", INSTRUMENTS)
def test_the_options_of_the_role_instruments_are_the_instruments_that(half: str) -> None:
    wrong = told(half, INSTRUMENTS[half](), switched(), "the options of roles/instruments")

    assert not wrong, wrong


@pytest.mark.parametrize("half", DRIVERS)
def test_the_choices_of_load_driver_are_the_drivers_that(half: str) -> None:
    wrong = told(half, DRIVERS[half](), set(role("load")["load_driver"]["choices"]), "load_driver")

    assert not wrong, wrong


def test_every_witness_of_a_calibration_is_an_instrument_or_comes_by_itself() -> None:
    witnesses = {witness.value for witness in calibrate.Witness}

    assert witnesses - SERVERS_OWN - DRIVERS_OWN - switched() == set()


def test_every_instrument_with_a_program_is_one() -> None:
    assert set(variables("instruments/vars/main.yml")["__instruments_programs"]) - switched() == set()
