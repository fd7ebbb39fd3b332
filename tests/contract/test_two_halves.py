"""The host's half and the control machine's know the same instruments, drivers, systems and read-backs."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from cgidhost import drivers as host_drivers
from cgidhost import instruments as host_instruments
from cgidhost import kernel, readback, sut
from cgidhost.bpfqueue import WAITS_NS
from cgidhost.instruments.base import Attached, Gauge
from cgidhost.observe import gauges as observed

from cgidlab import drivers, instruments
from cgidlab.analysis.findings import Answer
from cgidlab.design import catalogue, systems
from cgidlab.parsers import listeners, run_documents
from cgidlab.runs import hostdiff
from tests.rigs import el_host, el_packages

ROLES = Path(__file__).parents[2] / "roles"


def role(name: str) -> dict[str, Any]:
    """Return the options that a role declares."""
    text = (ROLES / name / "meta/argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def variables(path: str) -> dict[str, Any]:
    """Return the variables of a role's file."""
    values: dict[str, Any] = yaml.safe_load((ROLES / path).read_text(encoding="utf-8"))
    return values


def runs() -> set[str]:
    """Return the instruments that the helper on the host can run."""
    return set(host_instruments.INSTRUMENTS)


def plans() -> set[str]:
    """Return the drivers that the helper on the host can start."""
    return set(host_drivers.DRIVERS)


def read_as() -> set[str]:
    """Return the instruments that an experiment can turn on, each of which has a reader."""
    return {one.name for one in instruments.INSTRUMENTS if one.optional}


INSTRUMENTS: Mapping[str, Callable[[], set[str]]] = {
    "may be named in an experiment (cgidlab.design.catalogue)": lambda: set(
        catalogue.instruments(catalogue.load(ROLES))
    ),
    "can be run (cgidhost)": runs,
}
DRIVERS: Mapping[str, Callable[[], set[str]]] = {
    "may be installed (roles/load, load_drivers)": lambda: set(role("load")["load_drivers"]["choices"]),
    "can be started (cgidhost)": plans,
    "can be read (cgidlab.drivers)": lambda: set(drivers.DRIVERS),
}


def test_both_halves_know_which_drivers_ask_for_many_paths() -> None:
    on_hosts = {name: kind.many_paths for name, kind in host_drivers.DRIVERS.items()}

    assert {name: driver.many_paths for name, driver in drivers.DRIVERS.items()} == on_hosts
    assert [d.name for d in drivers.DRIVERS.values() if d.many_paths == bool(d.why_one_path)] == []


def told(half: str, found: set[str], want: set[str], where: str) -> str:
    """Return what is missing or too much in one half, by name; '' where nothing is."""
    missing = [f"{name} is not in those that {half}" for name in sorted(want - found)]
    extra = [f"{name} is in those that {half} and not in {where}" for name in sorted(found - want)]
    return "; ".join(missing + extra)


def unlike(found: Mapping[str, str], want: Mapping[str, str], here: str, there: str) -> str:
    """Return which names one table lacks, has too much or calls otherwise than another; '' where they agree."""
    lacking = [f"{name} is in {there} and not in {here}" for name in sorted(want.keys() - found.keys())]
    extra = [f"{name} is in {here} and not in {there}" for name in sorted(found.keys() - want.keys())]
    other = [
        f"{name} is {found[name]} in {here} and {want[name]} in {there}"
        for name in sorted(found.keys() & want.keys())
        if found[name] != want[name]
    ]
    return "; ".join(lacking + extra + other)


@pytest.mark.parametrize("half", INSTRUMENTS)
def test_the_instruments_that_can_be_read_are_those_that(half: str) -> None:
    wrong = told(half, INSTRUMENTS[half](), read_as(), "cgidlab/instruments")

    assert not wrong, wrong


@pytest.mark.parametrize("half", DRIVERS)
def test_the_choices_of_load_driver_are_the_drivers_that(half: str) -> None:
    wrong = told(half, DRIVERS[half](), set(role("load")["load_driver"]["choices"]), "load_driver")

    assert not wrong, wrong


def test_every_instrument_with_a_program_is_one() -> None:
    assert set(variables("instruments/vars/main.yml")["__instruments_known"]) - read_as() == set()


HOW_READ = re.compile(
    r"Read back as the (?:(?P<kind>directive|sysctl|check|macro) (?P<name>[\w.]*\w))[.,]|Not read back: (?P<why>.+)\."
)


def settings_of_a_trial() -> dict[str, tuple[str, str]]:
    """Return what each option of a trial says of its read-back: the kind and the name, or ("", why not)."""
    found = {}
    for name, option in catalogue.load(ROLES).options.items():
        sentence = HOW_READ.search(option.description)
        assert sentence, f"{option.long_name} says neither `Read back as the ...` nor `Not read back: ...`"
        found[name] = (sentence["kind"], sentence["name"]) if sentence["kind"] else ("", sentence["why"])
    return found


def test_every_option_of_a_trial_says_how_it_is_read_back_or_why_it_is_not() -> None:
    assert settings_of_a_trial()


def test_every_option_of_the_server_and_the_kernel_is_read_back() -> None:
    said = settings_of_a_trial()
    names = catalogue.load(ROLES).of_roles("server", "kernel", "cgid", "systems")

    assert [name for name in names if not said[name][0]] == []


def test_every_check_that_an_option_names_is_one_the_helper_makes() -> None:
    made = {proof.name for proof in readback.PROOFS} | {p.name for s in sut.SYSTEMS.values() for p in s.proofs}

    assert {name for kind, name in settings_of_a_trial().values() if kind == "check"} - made == set()


def test_every_directive_that_an_option_names_is_in_the_template_and_takes_that_option() -> None:
    template = (ROLES / "server/templates/httpd.conf.j2").read_text(encoding="utf-8")
    options = catalogue.load(ROLES).options

    for name, (kind, directive) in settings_of_a_trial().items():
        if kind == "directive":
            assert options[name].directive == directive
            assert re.search(rf"^{directive} .*\b{options[name].long_name}\b", template, re.MULTILINE), name


def test_the_sysctls_of_the_role_kernel_are_those_the_helper_writes_and_those_a_run_answers_for() -> None:
    said = {name: sysctl for name, (kind, sysctl) in settings_of_a_trial().items() if kind == "sysctl"}

    written = {name: path.replace("/", ".") for name, path in kernel.SYSCTLS.items()}
    assert not (wrong := unlike(written, said, "SYSCTLS of cgidhost/kernel.py", "roles/kernel")), wrong
    assert not (wrong := unlike(hostdiff.TRIAL_SYSCTLS, said, "TRIAL_SYSCTLS of hostdiff.py", "roles/kernel")), wrong


def test_the_macros_that_options_name_are_those_mod_cgid_is_compiled_with() -> None:
    said = {name: macro for name, (kind, macro) in settings_of_a_trial().items() if kind == "macro"}

    macros = variables("cgid/vars/main.yml")["__cgid_macros"]
    wrong = unlike(macros, said, "__cgid_macros of roles/cgid/vars/main.yml", "roles/cgid's argument_specs")
    assert not wrong, wrong


def test_the_systems_of_the_helper_are_those_an_experiment_can_mean() -> None:
    assert set(sut.SYSTEMS) == set(systems.SYSTEMS)
    assert role("systems")["systems_handler"]["choices"] == [systems.AUTO, *systems.SYSTEMS]
    defaults = catalogue.load(ROLES).defaults()
    for name, system in sut.SYSTEMS.items():
        settings = {**defaults, "handler": name}
        assert systems.system_of(settings) == name
        assert systems.has_queue(settings) != bool(system.why_no_queue)


def test_a_system_with_a_program_of_its_own_is_installed_and_told_what_to_do() -> None:
    known = variables("systems/vars/main.yml")["__systems_known"]
    template = (ROLES / "server/templates/httpd.conf.j2").read_text(encoding="utf-8")

    assert {name: s.program for name, s in sut.SYSTEMS.items() if s.program} == {
        name: about["program"] for name, about in known.items() if name in systems.PROXIED
    }
    assert set(known) == set(systems.PROVIDED)
    assert all({"Debian", "RedHat", "version"} <= about.keys() for about in known.values())
    modules = {name: about["module"] for name, about in known.items() if name not in systems.PROXIED}
    assert [name for name, module in modules.items() if f"tools.{module['name']} }}}}" not in template] == []
    assert all({"Debian", "RedHat"} <= module.keys() for module in modules.values())
    assert {path.name for path in (ROLES / "systems/templates").iterdir()} <= set(known)
    assert [name for name in known if f"trial.system == '{name}'" not in template] == []


def packages_of(about: Mapping[str, Any], family: str) -> list[str]:
    """Return the packages that a handler needs of a family's repositories, that of its module too."""
    return [*about[family], *([about["module"][family]] if "module" in about else [])]


@pytest.mark.parametrize("family", ["Debian", "RedHat"])
@pytest.mark.parametrize("name", systems.PROVIDED)
def test_a_handler_names_its_packages_for_each_family_and_its_role_says_them_to_readers(name: str, family: str) -> None:
    known = variables("systems/vars/main.yml")
    about = known["__systems_known"][name]
    readme = (ROLES / "systems/README.md").read_text(encoding="utf-8")
    (row,) = (line for line in readme.splitlines() if line.startswith(f"| `{name}` |"))
    cell = row.split("|")[2 if family == "Debian" else 3]

    assert about[family], "one that cannot be had of a family at all is no choice there: say so, and why"
    places = {known["__systems_found_in"][family].get(package) for package in about[family]} - {None}
    assert [one for one in (*packages_of(about, family), *places) if not re.search(rf"\b{one}\b", cell)] == []


def test_a_repository_is_told_of_packages_alone_that_some_handler_needs() -> None:
    known = variables("systems/vars/main.yml")

    for family, found_in in known["__systems_found_in"].items():
        named = {package for about in known["__systems_known"].values() for package in packages_of(about, family)}
        assert set(found_in) - named == set(), family
    assert set(known["__systems_found_in"]) == {"Debian", "RedHat"}


def test_the_host_of_enterprise_linux_shape_has_every_package_that_a_role_names() -> None:
    named = set(el_packages.wanted())

    known = variables("systems/vars/main.yml")["__systems_known"].values()
    assert {package for about in known for package in packages_of(about, "RedHat")} <= named
    assert set(el_packages.OPTIONAL) | {name for absent in el_packages.ABSENT.values() for name in absent} <= named
    experiment = yaml.safe_load(el_host.HANDLERS.read_text(encoding="utf-8"))
    assert experiment["factors"]["handler"] == list(systems.SYSTEMS)


def test_what_means_something_with_some_systems_alone_is_an_option() -> None:
    assert set(systems.MEANS_SOMETHING) - catalogue.load(ROLES).options.keys() == set()


def test_what_is_observed_without_a_trial_is_an_instrument() -> None:
    gauges = (observed.WatchedQueue, observed.Workers, observed.Daemon, observed.WatchedHost, observed.WatchedConnects)

    assert {gauge.name for gauge in gauges} <= runs()


def test_every_instrument_says_how_it_observes_and_one_with_a_program_is_provided_with_it() -> None:
    provided = variables("instruments/vars/main.yml")["__instruments_known"]

    for name, kind in host_instruments.INSTRUMENTS.items():
        assert issubclass(kind, (Gauge, Attached)), name
        assert (provided[name]["program"] if name in provided else None) == getattr(kind, "program", None), name


def test_every_option_of_the_server_is_in_its_template() -> None:
    template = (ROLES / "server/templates/httpd.conf.j2").read_text(encoding="utf-8")

    assert [name for name in role("server") if not re.search(rf"\b{name}\b", template)] == []
    taken = set(re.findall(r"(?<![.\w])server_\w+", template.replace("server_*", "")))
    assert sorted(taken - role("server").keys()) == [], "in httpd.conf.j2 and no option of roles/server"


@pytest.mark.parametrize("entry", ["block", "generate", "stop"])
def test_the_role_trial_declares_every_variable_that_its_tasks_take_from_the_caller(entry: str) -> None:
    specs = variables("trial/meta/argument_specs.yml")["argument_specs"]
    taken = set(re.findall(r"\bcgidlab_(?!blocks|generate\b)\w+", (ROLES / f"trial/tasks/{entry}.yml").read_text()))

    assert set(specs[entry]["options"]) == taken


def test_the_template_of_a_block_takes_what_the_action_gives_it() -> None:
    taken = set(re.findall(r"\bcgidlab_\w+", (ROLES / "trial/templates/block.json.j2").read_text()))
    action = (ROLES / "trial/action_plugins/cgidlab_blocks.py").read_text()

    assert taken == set(re.findall(r'"(cgidlab_\w+)":', action))


def test_both_halves_divide_times_in_the_queue_alike() -> None:
    assert tuple(most_ns / 1e9 for most_ns in WAITS_NS) == listeners.WAITS_S


def test_a_summary_may_hold_every_answer_and_no_other() -> None:
    assert {Answer(name) for name in get_args(run_documents.AnswerName)} == set(Answer)
