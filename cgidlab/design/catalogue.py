"""What can be set in a trial: the options that roles declare in argument_specs.yml, and the instruments."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path

import yaml

from cgidlab.design import hints
from cgidlab.design.systems import OWN_SCRIPTS
from cgidlab.errors import LabError, SpecError
from cgidlab.instruments import INSTRUMENTS
from cgidlab.model import Option, Scalar, Settings

# Roles whose options describe a trial. `host` is left out: its options say where things
# live on a host, which is the inventory's business and not an experiment's.
TRIAL_ROLES = ("build", "cgid", "scripts", "server", "systems", "kernel", "load", "trial")
_PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "path": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
}

# Bounds that argument_specs.yml cannot express. 2**31 - 1 is what listen() and sysctl take.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "listen_backlog": (1, 2**31 - 1),
    "connect_attempts": (0, 1000),
    "workers": (1, 20_000),
    "threads_per_child": (1, 1000),
    "tcp_backlog": (1, 2**31 - 1),
    "children": (1, 1000),
    "keep_alive_timeout_s": (1, 3600),
    "timeout_s": (1, 3600),
    "somaxconn": (1, 2**31 - 1),
    "max_dgram_qlen": (0, 2**31 - 1),
    "clients": (1, 50_000),
    "rate": (1, 100_000),
    "burst_requests": (1, 20_000),
    "rate_from": (1, 100_000),
    "driver_cpu_us": (0, 1_000_000),
    "warmup_s": (0.1, 3600),
    "window_s": (0.5, 86_400),
    "fault_at_s": (0, 86_400),
    "fault_every_s": (0, 86_400),
    "fault_for_s": (0.1, 3600),
    "sleep_ms": (0, 600_000),
    "burn_ms": (0, 600_000),
    "size_bytes": (0, 1 << 30),
}
# Options of a trial role that say how a host is provisioned, the same for every trial on it.
_OF_PROVISIONING: Mapping[str, frozenset[str]] = {"build": frozenset({"mirror", "refresh", "cflags", "compiler"})}
_EXAMPLES = {
    "extra_directives": 'extra_directives: "MaxKeepAliveRequests 100"',
    "log_level": 'log_level: "warn cgid:debug"',
    "httpd": 'httpd: "upstream:2.4.62"',
    "patches": 'patches: "retry-at-notice"',
    "script": 'script: "path:status.cgi"',
    "requests": 'requests: "status.requests"',
    "stages": 'stages: "100/s 2s, 600/s 1s, 100/s 2s"',
}
"""Of options whose default shows nothing of what they take."""
BESIDE_CHOICES: Mapping[str, str] = {"script": OWN_SCRIPTS}
"""What a value begins with that an option takes beside its choices."""
_INSTRUMENTS = "instruments"
# Each instrument says itself what it is; no task on a host takes these.
_SWITCHES = tuple(
    Option(
        role=_INSTRUMENTS,
        name=one.name,
        type="bool",
        default=one.on_by_default,
        choices=(),
        description=f"{' '.join((getdoc(type(one)) or '').split())} Not read back: result.json says whether it ran.",
    )
    for one in INSTRUMENTS
    if one.optional
)
_DIRECTIVE = re.compile(r"Read back as the directive (\w+)")
_ALSO = re.compile(r"Also asked for as ([^.]+(?:\.\w[^.]*)*)\.")
# Over HTTP the user alone may be a token; SSH needs one that everybody may know.
_CREDENTIALS = re.compile(r"(?<!ssh)://[^/\s]*@|://[^/\s@]*:[^/\s]*@", re.IGNORECASE)
_HTTPD_SOURCE = re.compile(r"distro(:[\w.+~:-]+)?|upstream:\d+\.\d+\.\d+|path:.+|git:[^-].*|built:[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All options of all trial roles, by short name."""

    options: Mapping[str, Option]

    def defaults(self) -> dict[str, Scalar]:
        """Return the value each option has when an experiment does not name it."""
        return {name: option.default for name, option in self.options.items() if option.default is not None}

    def long_names(self, settings: Settings) -> dict[str, Scalar]:
        """Return settings keyed as Ansible knows them."""
        return {self.options[name].long_name: value for name, value in settings.items()}

    def named(self, name: str) -> str:
        """Return the option that a word is meant for, by its name or by what else it is asked for as; "" for none."""
        return hints.meant(name, self._also())

    def no_option(self, name: str, where: str) -> SpecError:
        """Return the error for a name that is no option's, with what was meant if that can be told."""
        elsewhere = hints.key_of_the_file(name) or hints.follows(name) or hints.directive(name)
        return hints.unknown("no role has an option", name, self.options, where, also=self._also(), elsewhere=elsewhere)

    def _also(self) -> dict[str, tuple[str, ...]]:
        return {o.name: (*o.also, o.long_name, *([o.directive] if o.directive else [])) for o in self.options.values()}

    def of_roles(self, *roles: str) -> tuple[str, ...]:
        """Return the short names of the options of some roles."""
        return tuple(name for name, option in self.options.items() if option.role in roles)

    def check(self, name: str, value: object, where: str) -> Scalar:
        """Return `value` as the option's type, or raise `SpecError` saying what it takes."""
        option = self.options.get(name)
        if option is None:
            raise self.no_option(name, where)
        if not isinstance(value, _PYTHON_TYPES[option.type]) or (isinstance(value, bool) and option.type != "bool"):
            raise SpecError(
                f"`{name}` takes {option.type}, not {value!r}",
                where=where,
                fix="write true or false"
                if option.type == "bool"
                else f"see {option.long_name} in roles/{option.role}/meta/argument_specs.yml",
            )
        assert isinstance(value, (bool, int, float, str))  # noqa: S101 -- what _PYTHON_TYPES holds
        if option.type == "float":
            value = float(value)
        beside = BESIDE_CHOICES.get(name)
        if option.choices and value not in option.choices and not (beside and str(value).startswith(beside)):
            raise hints.no_choice(name, str(value), [str(c) for c in option.choices], where)
        low, high = _BOUNDS.get(name, (float("-inf"), float("inf")))
        if isinstance(value, (int, float)) and not low <= value <= high:
            raise SpecError(f"`{name}` is {value}, outside {low} to {high}", where=where, fix="choose a value inside")
        if isinstance(value, str):
            _check_text(name, value, where)
        return value


def load(roles_dir: Path) -> Catalogue:
    """Return the options of every trial role below `roles_dir`, then the instruments.

    Raise `LabError` if the roles are broken.
    """
    options: dict[str, Option] = {}
    for option in (*_declared(roles_dir), *_SWITCHES):
        other = options.setdefault(option.name, option)
        if other is not option:
            raise LabError(f"two options have the short name {option.name}: {other.long_name} and {option.long_name}")
    return Catalogue(options)


def _declared(roles_dir: Path) -> Iterator[Option]:
    for role in TRIAL_ROLES:
        path = roles_dir / role / "meta" / "argument_specs.yml"
        try:
            declared = yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        except (OSError, yaml.YAMLError, KeyError, TypeError) as err:
            raise LabError(f"cannot read the options of the role {role}: {err}", where=str(path)) from err
        for long_name, spec in declared.items():
            name = long_name.removeprefix(f"{role}_")
            if spec["type"] not in _PYTHON_TYPES or name in _OF_PROVISIONING.get(role, ()):
                continue  # it steers provisioning and is no setting of a trial
            yield Option(
                role=role,
                name=name,
                type=spec["type"],
                default=spec.get("default"),
                choices=tuple(spec.get("choices", ())),
                description=(text := _one_text(spec.get("description", ""))),
                directive=found[1] if (found := _DIRECTIVE.search(text)) else "",
                also=tuple(asked[1].split(", ")) if (asked := _ALSO.search(text)) else (),
            )


def markdown(catalogue: Catalogue) -> str:
    """Return every option with the first sentence on it: the table of docs/experiment-format.md."""
    rows = ["| option | takes | default | what | example |", "| --- | --- | --- | --- | --- |"]
    for option in catalogue.options.values():
        takes = ", ".join(f"`{c}`" for c in _taken(option)) or option.type
        default = "required" if option.default is None else f"`{json.dumps(option.default)}`"
        rows.append(f"| `{option.name}` | {takes} | {default} | {option.summary} | {_example(option)} |")
    return "\n".join(rows)


def _taken(option: Option) -> tuple[Scalar, ...]:
    """Return what an option with choices takes, with what it takes beside them."""
    return (*option.choices, f"{BESIDE_CHOICES[option.name]}FILE") if option.name in BESIDE_CHOICES else option.choices


def _example(option: Option) -> str:
    value = option.choices[-1] if option.choices else not option.default if option.type == "bool" else option.default
    text = _EXAMPLES.get(option.name) or f"{option.name}: {json.dumps(value)}"
    return f"`{text}`"


def instruments(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the names of the instruments that can be turned on or off, in their order."""
    return catalogue.of_roles(_INSTRUMENTS)


def _one_text(description: str | list[str]) -> str:
    return " ".join(description) if isinstance(description, list) else str(description)


def _check_text(name: str, value: str, where: str) -> None:
    """Refuse what could mean more than text in a configuration file."""
    allowed = "\n\t" if name == "extra_directives" else ""
    bad = next((c for c in value if not c.isprintable() and c not in allowed), None)
    if bad is not None:
        raise SpecError(f"`{name}` holds the control character {bad!r}", where=where, fix="remove it")
    if name == "httpd" and _CREDENTIALS.search(value):
        # It would be in every file of the run, and on git's command line for everybody on the host to see.
        raise SpecError(
            f"`httpd` holds a user or a password: `{_CREDENTIALS.sub('://...@', value)}`",
            where=where,
            fix="leave it out of the URL and tell git on the host: a credential helper, ~/.netrc or an SSH key",
        )
    if name == "httpd" and not _HTTPD_SOURCE.fullmatch(value):
        raise SpecError(
            f"`httpd` does not take `{value}`",
            where=where,
            fix="use distro, distro:VERSION, upstream:VERSION, path:DIR_OR_TARBALL or git:REPOSITORY#REF",
        )
    if name == "patches" and not re.fullmatch(r"([A-Za-z0-9_-]+( [A-Za-z0-9_-]+)*)?", value):
        raise SpecError(f"`patches` does not take `{value}`", where=where, fix="name patches, separated by one space")
    if name == "log_level" and not re.fullmatch(r"[a-z0-9_]+(:[a-z0-9]+)?( [a-z0-9_]+(:[a-z0-9]+)?)*", value):
        raise SpecError(f"`log_level` does not take `{value}`", where=where, fix='write it as "warn cgid:debug"')
