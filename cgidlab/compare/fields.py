"""What makes two runs comparable: a table of the fields, and what each verb does where one differs.

`run --resume` asks whether trials to come may stand beside those that are done, `compare` whether a ratio says
what changed, `run --if-changed` whether a run would tell anything new. All three read the same two documents of a
run, and a field is a line of FIELDS. What bars a comparison also bars a resume and is a reason to run.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

NOT_RECORDED = "not recorded"

Key = tuple[str, ...]  # what a value is of: () the project or the plan, (host,), (host, httpd), (host, tool), ...
Values = Mapping[Key, Any]


class Verb(StrEnum):
    """Who asks."""

    RESUME = "resume"
    COMPARE = "compare"
    IF_CHANGED = "if_changed"


class Weight(StrEnum):
    """What a verb does about a difference."""

    DECIDES = "decides"  # bars a resume or a comparison unless it is named; is a reason to run
    TOLD = "told"
    NOTHING = "nothing"


class About(StrEnum):
    """What a field is of."""

    DESIGN = "design"  # what was asked: the plan
    PROJECT = "project"  # this program
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a run wrote down of itself: plan.json and provenance.json, as they were read or would be written."""

    plan: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def hosts(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each host."""
        found: Mapping[str, Mapping[str, Any]] = self.provenance.get("hosts", {})
        return found

    def used(self, setting: str) -> frozenset[str]:
        """Return the values that a setting has in the plan's cells; provisioning may have made more than that ready."""
        return frozenset(str(cell["settings"].get(setting)) for cell in self.plan.get("cells", ()))


@dataclass(frozen=True, slots=True)
class Field:
    """Something that two runs may differ in."""

    name: str  # what --across and --accept-changed name
    words: str  # for people; {0}, {1} are parts of a value's key
    about: About
    resume: Weight
    compare: Weight
    if_changed: Weight
    read: Callable[[Recorded], Values]
    told_by: tuple[str, ...] = ()  # where one of these differs as well, it says enough
    implied_by: tuple[str, ...] = ()  # who names one of these has named this
    opaque: bool = False  # a checksum, or a file: only that it differs is of interest

    def weight(self, verb: Verb) -> Weight:
        """Return what a verb does about it."""
        return {Verb.RESUME: self.resume, Verb.COMPARE: self.compare, Verb.IF_CHANGED: self.if_changed}[verb]


def _nothing(_run: Recorded) -> Values:
    return {}


def _plan(name: str) -> Callable[[Recorded], Values]:
    return lambda run: {(): run.plan.get(name)}


def _rule(run: Recorded) -> Values:
    return {(): json.dumps(run.plan.get("rule"), sort_keys=True)}


# The rest of a plan follows from these, and from the roles.
_ASKED = (
    "target",
    "settings",
    "derived",
    "search",
    "factors",
    "exclude",
    "repetitions",
    "instruments",
    "rule",
    "noise",
)


def _asked(run: Recorded) -> Values:
    return {(what,): value for name in _ASKED for what, value in _leaves(name, run.plan.get(name))}


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 -- whatever JSON can hold
    if isinstance(value, Mapping):
        for inner, more in value.items():
            yield from _leaves(f"{name} {inner}", more)
    else:
        yield name, str(value)


def _project(*path: str) -> Callable[[Recorded], Values]:
    def read(run: Recorded) -> Values:
        value: Any = run.provenance
        for name in path:
            value = value.get(name, {})
        return {(): value or None}

    return read


def _hosts(run: Recorded) -> Values:
    return {(): ", ".join(sorted(run.hosts)) or None}


def _fact(name: str) -> Callable[[Recorded], Values]:
    return lambda run: {(host,): said["facts"].get(name) for host, said in run.hosts.items()}


def _httpds(run: Recorded) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    levels = run.used("httpd")
    for host, said in run.hosts.items():
        for level, found in said.get("httpd", {}).items():
            if level in levels or not levels:
                yield (host, level), found


def _httpd(name: str) -> Callable[[Recorded], Values]:
    return lambda run: {key: found.get(name) for key, found in _httpds(run)}


def _modules(run: Recorded) -> Values:
    """Return the checksum of each mod_cgid that a cell runs, by what it was compiled with."""
    cells = [cell["settings"] for cell in run.plan.get("cells", ())]
    return {
        (*key, "/".join(str(value) for name, value in settings.items() if name in compiled)): variant.get("sha256")
        for key, found in _httpds(run)
        for variant in found.get("variants", ())
        for compiled in [variant.keys() - {"path", "sha256"}]
        for settings in cells
        if all(str(settings.get(name)) == str(variant[name]) for name in compiled)
    }


def _tools(run: Recorded, *, drivers: bool) -> Values:
    used = run.used("driver")
    return {
        (host, name): f"{name} {tool.get('version') or NOT_RECORDED}"
        for host, said in run.hosts.items()
        for name, tool in said.get("tools", {}).items()
        if (name in used) is drivers
    }


def _scripts(run: Recorded) -> Values:
    return {
        (host, name): script.get("sha256")
        for host, said in run.hosts.items()
        for name, script in said.get("scripts", {}).items()
    }


def _interpreters(run: Recorded) -> Values:
    """Return the checksum of what runs each script of the user's."""
    return {
        (host, name): script["interpreter"].get("sha256")
        for host, said in run.hosts.items()
        for name, script in said.get("scripts", {}).items()
        if script.get("interpreter")
    }


def _files(run: Recorded) -> Values:
    return {(name,): sha256 for name, sha256 in (run.plan.get("files") or {}).items()}


def _hooks(run: Recorded) -> Values:
    return {(): json.dumps(run.plan.get("hooks") or {}, sort_keys=True)}


D, T, N = Weight.DECIDES, Weight.TOLD, Weight.NOTHING
_DESIGN, _PROJECT, _HOST = About.DESIGN, About.PROJECT, About.HOST
_BUILT_FROM = ("httpd_version", "httpd_source", "httpd_source_sha256", "compiler")

# fmt: off -- a table
FIELDS = (
    #                                                      resume, compare, if-changed
    Field("experiment", "the experiment file", _DESIGN, D, N, D, _project("experiment_sha256"), opaque=True),
    Field(
        "command_line",
        "what the command line set (--set, --only, --target), {0}",
        _DESIGN,
        D,
        N,
        D,
        _asked,
        told_by=("experiment",),
    ),
    Field("settings", "setting {0}", _DESIGN, D, D, D, _nothing, told_by=("experiment", "command_line")),
    Field("files", "the content of {0}", _DESIGN, D, D, D, _files),
    Field("hooks", "the hooks", _DESIGN, D, T, D, _hooks, opaque=True),
    Field("target", "the target", _DESIGN, N, T, N, _plan("target")),
    Field("seed", "the seed", _DESIGN, N, T, N, _plan("seed")),
    Field("rule", "the rule", _DESIGN, N, T, N, _rule),
    Field("roles", "the roles", _PROJECT, D, T, D, _project("roles_sha256"), opaque=True),
    Field("playbooks", "the playbooks", _PROJECT, D, T, D, _project("playbooks_sha256"), opaque=True),
    Field(
        "measuring",
        "the code that measures",
        _PROJECT,
        D,
        D,
        D,
        _project("measuring_sha256"),
        told_by=("roles",),
        opaque=True,
    ),
    Field("cgidlab", "cgidlab", _PROJECT, T, T, N, _project("cgidlab")),
    Field("commit", "the commit", _PROJECT, T, T, N, _project("git", "commit")),
    Field("ansible_core", "ansible-core", _PROJECT, T, T, N, _project("control", "packages", "ansible-core")),
    Field("python", "Python on the control machine", _PROJECT, T, T, N, _project("control", "python")),
    Field("hosts", "hosts", _HOST, T, T, D, _hosts),
    Field("cpu_model", "CPU model of {0}", _HOST, D, D, D, _fact("cpu_model")),
    Field("cpus", "CPUs of {0}", _HOST, D, D, D, _fact("cpus")),
    Field("kernel", "kernel of {0}", _HOST, D, D, D, _fact("kernel")),
    Field("machine", "machine id (hashed) of {0}", _HOST, D, T, D, _fact("machine_id_sha256")),
    Field("architecture", "architecture of {0}", _HOST, T, T, N, _fact("architecture")),
    Field("memory_mb", "memory in MB of {0}", _HOST, T, T, N, _fact("memory_mb")),
    Field("distribution", "distribution of {0}", _HOST, T, T, T, _fact("distribution")),
    Field("distribution_version", "version of the distribution of {0}", _HOST, T, T, T, _fact("distribution_version")),
    Field("virtualization", "virtualization of {0}", _HOST, T, T, N, _fact("virtualization")),
    Field("clocksource", "clock source of {0}", _HOST, T, T, N, _fact("clocksource")),
    Field("httpd_version", "httpd {1} on {0}", _HOST, D, D, D, _httpd("version"), implied_by=("httpd",)),
    Field("httpd_source", "httpd {1} on {0}, source", _HOST, T, T, T, _httpd("source"), told_by=("httpd_version",)),
    Field(
        "httpd_source_sha256",
        "httpd {1} on {0}, source's content",
        _HOST,
        T,
        T,
        T,
        _httpd("source_sha256"),
        told_by=("httpd_version", "httpd_source"),
    ),
    Field("compiler", "httpd {1} on {0}, compiler", _HOST, T, T, T, _httpd("compiler")),
    Field(
        "httpd_build_key",
        "httpd {1} on {0}, build, by libraries or flags",
        _HOST,
        D,
        T,
        D,
        _httpd("build_key"),
        told_by=_BUILT_FROM,
    ),
    Field(
        "mod_cgid",
        "mod_cgid {2} of httpd {1} on {0}",
        _HOST,
        D,
        T,
        T,
        _modules,
        told_by=(*_BUILT_FROM, "httpd_build_key"),
    ),
    Field(
        "driver_version",
        "driver {1} on {0}",
        _HOST,
        D,
        D,
        D,
        lambda run: _tools(run, drivers=True),
        implied_by=("driver",),
    ),
    Field("tools", "{1} on {0}", _HOST, T, T, T, lambda run: _tools(run, drivers=False)),
    Field("scripts", "CGI script {1} on {0}", _HOST, D, T, T, _scripts, told_by=("files",)),
    Field("interpreters", "what runs {1} on {0}", _HOST, D, T, T, _interpreters),
    Field("provenance", "what {0} was", _HOST, D, N, N, _nothing),
)
# fmt: on

NAMES = tuple(field.name for field in FIELDS)
BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
FETCHING = frozenset({"mirror", "refresh"})
"""Settings of how a source is fetched, not of what is measured: told, and no more."""
