"""What a host allows, row by row, and what to do about each row that fails. Pure: answers in, rows out.

The limits are here alone. A `warn` costs an instrument or comfort, a `fail` keeps a run from being any good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cgidlab.engine import unreachable
from cgidlab.instruments import INSTRUMENTS

MIN_PYTHON = (3, 9)
MIN_FREE_BYTES = {"cache": 300 << 20, "work": 300 << 20}
"""A build of httpd needs about 150 MB a version, a long trial's raw files tens of MB: twice that."""
MAX_OFFSET_S = 1.0
"""Stamps of hosts are put beside each other in reports; load from several machines has a bound of its own."""
MAX_ROUND_TRIP_S = 0.25
"""Over a connection that is open. More means that every command opens one of its own."""


class Health(StrEnum):
    """How a row stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at on one host."""

    host: str
    check: str
    state: Health
    found: str
    advice: str = ""  # what to do; empty when the state is ok


@dataclass(frozen=True, slots=True)
class Failure:
    """The task at which a host's examination ended."""

    task: str
    message: str
    unreachable: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """What a host said: the result of each module that ran there, by its name, and where it ended if it did."""

    host: str
    server: bool
    results: Mapping[str, Mapping[str, Any]]
    failure: Failure | None


def rows(host: Examined) -> tuple[Finding, ...]:
    """Return the rows of one host. Where its examination ended, nothing is said of what would have come after."""
    return tuple(_rows(host))


def _rows(host: Examined) -> Iterator[Finding]:
    name, reach, failure = host.host, host.results.get("host_reach"), host.failure
    if reach is None:
        said = failure.message if failure else "it was not asked"
        yield Finding(name, "reachable", Health.FAIL, unreachable.in_short(said), unreachable.advice(said))
        return
    yield Finding(name, "reachable", Health.OK, f"first command after {reach['first_s']:.2f} s")
    yield _round_trip(name, float(reach["round_trip_s"]))
    yield _clock(name, float(reach["clock_offset_s"]), float(reach["clock_bound_s"]))
    survey = host.results.get("host_survey")
    if survey is None:
        yield _ended(name, failure)
        return
    kernel = survey["facts"]["kernel"]
    system = f"{survey['facts']['distribution']} {survey['facts']['distribution_version']}".strip()
    known = survey["os_family"] in {"Debian", "RedHat"}
    yield Finding(
        name,
        "distribution",
        Health.OK if known else Health.FAIL,
        system,
        ""
        if known
        else "use a host of the Debian or the Enterprise Linux family, or add its packages to roles/*/vars/",
    )
    look = host.results.get("host_doctor")
    if look is None:
        yield _ended(name, failure)
        return
    yield _python(name, str(look["python_version"]), str(look["python"]))
    yield _become(name, look)
    packages = host.results.get("host_tools")
    if packages is not None:
        yield _packages(name, list(packages["missing"]), look)
    yield from _disk(name, look["free_bytes"], survey["dirs"])
    probe = look.get("probe")
    if probe is None:
        found = f"{kernel}; the trial helper does not run: {look.get('probe_error')}"
        told = "read its message; the helper needs Linux 5.3 and Python 3.9"
        yield Finding(name, "kernel", Health.FAIL, found, told)
        return
    yield from _kernel(name, kernel, probe, server=host.server)


def _ended(name: str, failure: Failure | None) -> Finding:
    message = failure.message if failure else "it said nothing more"
    short = unreachable.in_short(message)
    if failure and failure.unreachable:
        return Finding(name, "reachable", Health.FAIL, short, unreachable.advice(message))
    if "password" in message or "sudo" in message:
        told = "let ansible_user become root without a password (sudoers: NOPASSWD), or connect as root"
        return Finding(name, "become", Health.FAIL, short, told)
    if "interpreter" in message or "python" in message.lower():
        told = "install Python 3.9 or newer there, or name it as ansible_python_interpreter"
        return Finding(name, "python", Health.FAIL, short, told)
    what = f"{failure.task}: {short}" if failure else short
    return Finding(name, "examination", Health.FAIL, what, "read the message; the same task would fail in a run")


def _round_trip(name: str, took_s: float) -> Finding:
    quick = took_s <= MAX_ROUND_TRIP_S
    told = "see that ansible.cfg's ControlMaster and pipelining are in force: another configuration may win over it"
    return Finding(
        name, "round trip", Health.OK if quick else Health.WARN, f"{1000 * took_s:.0f} ms", "" if quick else told
    )


def _clock(name: str, offset_s: float, bound_s: float) -> Finding:
    near = abs(offset_s) <= MAX_OFFSET_S + bound_s
    found = f"{1000 * offset_s:+.0f} ms, known to {1000 * bound_s:.0f} ms"
    told = "set it by the network's time: chronyc makestep, or timedatectl set-ntp true"
    return Finding(name, "clock offset", Health.OK if near else Health.FAIL, found, "" if near else told)


def _python(name: str, version: str, path: str) -> Finding:
    enough = tuple(int(part) for part in version.split(".")[:2]) >= MIN_PYTHON
    wanted = ".".join(map(str, MIN_PYTHON))
    told = f"install Python {wanted} or newer there and name it as ansible_python_interpreter"
    return Finding(name, "python", Health.OK if enough else Health.FAIL, f"{version} ({path})", "" if enough else told)


def _become(name: str, look: Mapping[str, Any]) -> Finding:
    if look["root"]:
        return Finding(name, "become", Health.OK, "root")
    if look["sudo"]:
        told = "set ansible_become: true for it, and trials may use all instruments and any sysctl"
        return Finding(name, "become", Health.WARN, f"{look['user']}, root by sudo without a password", told)
    told = "let the user become root without a password (sudoers: NOPASSWD), or trials go without some instruments"
    return Finding(name, "become", Health.WARN, f"{look['user']}, who cannot become root", told)


def _packages(name: str, missing: list[str], look: Mapping[str, Any]) -> Finding:
    if not missing:
        return Finding(name, "packages", Health.OK, "all there")
    found = f"missing: {' '.join(missing)}"
    if look["root"] or look["sudo"]:
        return Finding(name, "packages", Health.WARN, found, "nothing: provisioning installs them")
    return Finding(name, "packages", Health.FAIL, found, f"run as root: {look['install_command']} {' '.join(missing)}")


def _disk(name: str, free: Mapping[str, int], directories: Mapping[str, str]) -> Iterator[Finding]:
    for what, wanted in MIN_FREE_BYTES.items():
        room = int(free[what])
        found = f"{room / (1 << 30):.1f} GiB for {directories[what]}"
        told = f"free {wanted >> 20} MiB there, or set host_{what}_dir to a directory with room"
        enough = room >= wanted
        yield Finding(name, f"disk ({what})", Health.OK if enough else Health.FAIL, found, "" if enough else told)


def _kernel(name: str, kernel: str, probe: Mapping[str, Any], *, server: bool) -> Iterator[Finding]:
    new = _fine(probe["pidfd"])
    told = "boot a kernel of 5.3 or newer"
    yield Finding(name, "kernel", Health.OK if new else Health.FAIL, kernel, "" if new else told)
    if not server:
        return
    yield _namespaces(name, probe)
    for need in (need for instrument in INSTRUMENTS for need in instrument.needs):
        answer = probe[need.probe]
        fine = _fine(answer)
        found = "can be used" if fine else str(answer.get("reason", answer))
        yield Finding(name, need.check, Health.OK if fine else Health.WARN, found, "" if fine else need.lost)


def _namespaces(name: str, probe: Mapping[str, Any]) -> Finding:
    kind = "root" if probe["root"] else "user"
    answer = probe[f"namespaces_{kind}"]
    if not _fine(answer):
        told = "allow namespaces (user.max_net_namespaces above 0; unprivileged ones for users), or run trials as root"
        return Finding(name, "namespaces", Health.FAIL, str(answer.get("reason", answer)), told)
    fixed = [sysctl for sysctl, said in answer.get("sysctls", {}).items() if not _fine(said)]
    if fixed:
        told = "run trials as root: on this kernel a user's namespace hides what an experiment may want to set"
        return Finding(name, "namespaces", Health.WARN, f"a {kind}'s, without {', '.join(fixed)}", told)
    return Finding(name, "namespaces", Health.OK, f"a {kind}'s, with both sysctls")


def _fine(answer: Any) -> bool:  # noqa: ANN401 -- the probe's JSON
    return isinstance(answer, Mapping) and bool(answer.get("ok"))
