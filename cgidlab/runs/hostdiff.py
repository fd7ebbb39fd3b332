"""What differs on a host between two snapshots, and whose doing it may be. Compares; reads and touches nothing.

A host may be shared: what others start and stop in the meantime is counted and not
blamed on the run. `Sense` says how sure that is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.parsers.host_snapshot import Process, Snapshot

TRIAL_SYSCTLS = {"somaxconn": "net.core.somaxconn", "max_dgram_qlen": "net.unix.max_dgram_qlen"}
"""The sysctls that trials set, by the setting of a trial that each is: the options of the role `kernel`."""

_BPF_NAME = "cgidlab"
_SERVER_UID = 65534
_SERVER_NAMES = ("httpd", "apache")
# Settings of one interface come and go with it, and interfaces are made by containers and their like.
_OF_INTERFACE = ("net.ipv4.conf.", "net.ipv6.conf.", "net.ipv4.neigh.", "net.ipv6.neigh.", "net.mpls.conf.")
_OF_NONE = ("all", "default")


class Sense(StrEnum):
    """Whose doing a difference is."""

    RUN = "run"  # it carries a mark of this run, or is something only trials change
    UNKNOWN = "unknown"  # it may be this run's, and nothing tells that it is somebody else's
    OTHERS = "others"  # it belongs to somebody else


@dataclass(frozen=True, slots=True)
class HostChange:
    """One thing that is not as it was."""

    what: str  # sysctl, process, listener, mount, service, file, bpf program, boot
    text: str
    sense: Sense


def differences(begin: Snapshot, end: Snapshot, run_id: str) -> tuple[HostChange, ...]:
    """Return everything in which `end` differs from `begin`, what is of the run `run_id` first."""
    found = [
        *_boot(begin, end),
        *_sysctls(begin, end),
        *_processes(begin, end, run_id),
        *_listeners(begin, end, run_id),
        *_mounts(begin, end, run_id),
        *_services(begin, end),
        *_files(begin, end, run_id),
        *_bpf_programs(begin, end, run_id),
    ]
    order = tuple(Sense)
    return tuple(sorted(found, key=lambda d: order.index(d.sense)))


def _boot(begin: Snapshot, end: Snapshot) -> Iterator[HostChange]:
    if begin.boot_id != end.boot_id:
        yield HostChange("boot", "the host was rebooted during the run", Sense.OTHERS)


def _sysctls(begin: Snapshot, end: Snapshot) -> Iterator[HostChange]:
    """Compare settings that are there both times: others came or went with an interface or a module."""
    for name in sorted(begin.sysctls.keys() & end.sysctls.keys()):
        if begin.sysctls[name] != end.sysctls[name]:
            text = f"{name} was {begin.sysctls[name]} and is {end.sysctls[name]}"
            yield HostChange("sysctl", text, _sense_of_sysctl(name))


def _sense_of_sysctl(name: str) -> Sense:
    if name in TRIAL_SYSCTLS.values():
        return Sense.RUN
    prefix = next((p for p in _OF_INTERFACE if name.startswith(p)), None)
    of_interface = prefix is not None and name[len(prefix) :].rpartition(".")[0] not in _OF_NONE
    return Sense.OTHERS if of_interface else Sense.UNKNOWN


def _processes(begin: Snapshot, end: Snapshot, run_id: str) -> Iterator[HostChange]:
    before = {(p.pid, p.start_ticks) for p in begin.processes}
    after = {(p.pid, p.start_ticks) for p in end.processes}
    for process in end.processes:
        if (process.pid, process.start_ticks) not in before:
            text = f"process {process.pid} ({process.name}) was not there before"
            yield HostChange("process", text, _sense_of_process(process, end, run_id))
    for process in begin.processes:
        if (process.pid, process.start_ticks) not in after:
            yield HostChange("process", f"process {process.pid} ({process.name}) ended", Sense.OTHERS)


def _sense_of_process(process: Process, end: Snapshot, run_id: str) -> Sense:
    is_server = process.name.startswith(_SERVER_NAMES)
    if process.run == "cache" and not is_server:  # a script, which has no mark: of whichever run is left
        return Sense.OTHERS if _other_run_lives(end, run_id) else Sense.RUN
    if process.run not in ("", "cache"):
        return _of_run(end.work_dir, run_id)(process.run)
    # A trial's httpd has a mark; one without may be anybody's, also where its program is one of the cache.
    return Sense.UNKNOWN if is_server and (process.uid == _SERVER_UID or process.run) else Sense.OTHERS


def _listeners(begin: Snapshot, end: Snapshot, run_id: str) -> Iterator[HostChange]:
    before = {(s.protocol, s.address) for s in begin.listeners}
    processes = {p.pid: p for p in end.processes}
    known = {p.pid for p in begin.processes}
    for listener in end.listeners:
        if (listener.protocol, listener.address) in before:
            continue
        owner = processes.get(listener.pid) if listener.pid is not None else None
        if owner is None:  # held in the kernel, or by a process that ended just now
            sense = Sense.RUN if "/cgid-" in listener.address else Sense.OTHERS
        else:
            sense = Sense.OTHERS if owner.pid in known else _sense_of_process(owner, end, run_id)
        text = f"{listener.protocol} {listener.address or '(without a name)'} is listened on"
        yield HostChange("listener", text, sense)


def _mounts(begin: Snapshot, end: Snapshot, run_id: str) -> Iterator[HostChange]:
    of_run = _of_run(end.work_dir, run_id)
    for point, kind, source in sorted(end.mounts - begin.mounts):
        sense = max((of_run(path) for path in (point, source)), key=lambda s: s is Sense.RUN)
        yield HostChange("mount", f"{point} is mounted ({kind})", sense)
    for point, kind, _ in sorted(begin.mounts - end.mounts):
        yield HostChange("mount", f"{point} is no longer mounted ({kind})", Sense.OTHERS)


def _services(begin: Snapshot, end: Snapshot) -> Iterator[HostChange]:
    for name in sorted(begin.services.keys() | end.services.keys()):
        was, now = begin.services.get(name, "not there"), end.services.get(name, "not there")
        if was != now:
            sense = Sense.UNKNOWN if name.startswith(_SERVER_NAMES) else Sense.OTHERS
            yield HostChange("service", f"{name} was {was} and is {now}", sense)


def _files(begin: Snapshot, end: Snapshot, run_id: str) -> Iterator[HostChange]:
    of_run = _of_run(end.work_dir, run_id)
    for path in sorted(end.files.keys() - begin.files.keys()):
        owner = end.files[path]
        unsaid = Sense.OTHERS if _other_run_lives(end, run_id) else Sense.UNKNOWN
        yield HostChange("file", f"{path} was left", of_run(owner) if owner else unsaid)
    for path in sorted(begin.files.keys() - end.files.keys()):
        yield HostChange("file", f"{path} is gone: a run before this one had left it", Sense.OTHERS)


def _bpf_programs(begin: Snapshot, end: Snapshot, run_id: str) -> Iterator[HostChange]:
    # A program is gone with the last process that holds it: where none of the run lives, none of its programs does.
    of_run = _of_run(end.work_dir, run_id)
    lives = any(of_run(p.run) is Sense.RUN for p in end.processes)
    other = Sense.OTHERS if _other_run_lives(end, run_id) else Sense.UNKNOWN
    for number in sorted(end.bpf_programs.keys() - begin.bpf_programs.keys()):
        name = end.bpf_programs[number]
        sense = Sense.OTHERS if name != _BPF_NAME else Sense.RUN if lives else other
        yield HostChange("bpf program", f"bpf program {number} ({name or 'without a name'}) is loaded", sense)


def _of_run(work_dir: str, run_id: str) -> Callable[[str], Sense]:
    """Return what says of a path whether it belongs to the run."""
    own = f"{work_dir}/{run_id}"
    return lambda path: Sense.RUN if path.startswith(own) else Sense.OTHERS


def _other_run_lives(end: Snapshot, run_id: str) -> bool:
    of_run = _of_run(end.work_dir, run_id)
    return any(p.run not in ("", "cache") and of_run(p.run) is Sense.OTHERS for p in end.processes)
