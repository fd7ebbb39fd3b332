"""A role's defaults, its argument_specs and its files per distribution say the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from cgidlab.runs import hostdiff

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if (path / "meta").is_dir())
FAMILIES = ("Debian", "RedHat")


def _load(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def _options(role: Path) -> dict[str, Any]:
    options: dict[str, Any] = _load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def _id(role: Path) -> str:
    return role.name


@pytest.mark.parametrize("role", ROLES, ids=_id)
def test_defaults_and_argument_specs_name_the_same_options_with_the_same_values(role: Path) -> None:
    want = {name: option["default"] for name, option in _options(role).items() if "default" in option}

    found = _load(role / "defaults/main.yml")
    assert sorted(want.keys() - found.keys()) == [], "in argument_specs.yml and not in defaults/main.yml"
    assert sorted(found.keys() - want.keys()) == [], "in defaults/main.yml and not in argument_specs.yml"
    assert found == want


@pytest.mark.parametrize("role", ROLES, ids=_id)
def test_a_default_has_the_type_and_choices_its_argument_spec_declares(role: Path) -> None:
    types: dict[str, type[Any]] = {
        "str": str,
        "int": int,
        "float": float,
        "bool": bool,
        "list": list,
        "dict": dict,
        "path": str,
    }

    for name, option in _options(role).items():
        if "default" not in option:
            continue
        assert type(option["default"]) is types[option["type"]], name
        values: list[Any] = option["default"] if option["type"] == "list" else [option["default"]]
        assert all(value in option.get("choices", values) for value in values), name


@pytest.mark.parametrize("role", ROLES, ids=_id)
def test_a_required_option_has_no_default_and_appears_commented_out_in_the_defaults(role: Path) -> None:
    required = [name for name, option in _options(role).items() if option.get("required")]
    without_default = [name for name, option in _options(role).items() if "default" not in option]
    lines = (role / "defaults/main.yml").read_text(encoding="utf-8").splitlines()

    assert required == without_default
    for name in required:
        assert any(line.startswith(f"# {name}:") for line in lines), name


@pytest.mark.parametrize("role", ROLES, ids=_id)
def test_every_option_carries_its_roles_name_and_says_what_it_is(role: Path) -> None:
    for name, option in _options(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option["description"], name


def test_every_option_of_the_kernel_is_a_sysctl_that_is_given_back() -> None:
    """The journal and what a run says it left on its hosts both follow from this."""
    options = {name.removeprefix("kernel_") for name in _options(ROOT / "roles/kernel")}

    assert set(hostdiff.TRIAL_SYSCTLS) == options


def test_short_names_are_unique_over_all_roles() -> None:
    """An experiment file says `clients`, not `load_clients`, so two roles cannot both have one."""
    short = Counter(name.removeprefix(f"{role.name}_") for role in ROLES for name in _options(role))

    assert [name for name, count in short.items() if count > 1] == []


@pytest.mark.parametrize(
    "role", [role for role in ROLES if any((role / f"vars/{family}.yml").exists() for family in FAMILIES)], ids=_id
)
def test_what_differs_between_distributions_has_the_same_names_for_each(role: Path) -> None:
    debian, redhat = (_load(role / f"vars/{family}.yml") for family in FAMILIES)

    assert debian.keys() == redhat.keys()
    for name, value in debian.items():
        assert type(value) is type(redhat[name]), name
        if isinstance(value, dict):
            assert value.keys() == redhat[name].keys(), name


def test_packages_are_installed_in_one_place() -> None:
    """What the tests and benchmarks need of a machine is installed by playbooks of their own, which no run plays."""
    installing = {
        str(path.relative_to(ROLES[0].parents[1]))
        for path in (ROLES[0].parents[1]).glob("roles/*/*/*.yml")
        if re.search(r"builtin\.(apt|dnf|package|yum|pip)\b", path.read_text(encoding="utf-8"))
    }

    assert installing == {"roles/host/tasks/packages.yml"}


def test_no_role_installs_a_package_that_starts_a_web_server() -> None:
    servers = {"apache2", "apache2-bin", "httpd", "httpd-core", "nginx"}
    named = {
        word
        for role in ROLES
        for path in (role / "vars").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        for word in re.findall(r"(?:- |: |, |\[)([\w.+-]+)", line.partition("#")[0])
    }

    assert named & servers == set()


@pytest.mark.parametrize("role", [role for role in ROLES if (role / "meta/main.yml").exists()], ids=_id)
def test_every_role_says_who_wrote_it_under_which_license_for_which_ansible(role: Path) -> None:
    info = _load(role / "meta/main.yml")["galaxy_info"]

    assert (info["author"], info["license"], info["min_ansible_version"]) == ("cgidlab", "Apache-2.0", "2.16")
    assert (role / "README.md").read_text(encoding="utf-8").strip()


def test_every_program_of_an_instrument_has_a_package_for_each_distribution() -> None:
    for name, about in _load(ROOT / "roles/instruments/vars/main.yml")["__instruments_known"].items():
        assert set(FAMILIES) <= about.keys(), name
        assert about["version"], name


def test_a_package_of_another_name_than_its_drivers_is_said_for_each_distribution() -> None:
    said = _load(ROOT / "roles/load/vars/main.yml")
    drivers = _options(ROOT / "roles/load")["load_driver"]["choices"]

    assert set(said["__load_package_names"]) == set(FAMILIES)
    debian, redhat = (said["__load_package_names"][family].keys() for family in FAMILIES)
    assert debian == redhat
    assert debian | said["__load_version_arguments"].keys() <= set(drivers)
