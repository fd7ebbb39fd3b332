"""What differs on a host, and on whom it is blamed: nothing of ours is missed, nobody else is accused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgidlab.errors import StoreError
from cgidlab.parsers.host_snapshot import ListeningSocket, Process, Snapshot, parse_snapshot
from cgidlab.runs.hostdiff import HostChange, Sense, differences

WORK = "/var/tmp/cgidlab-0"  # noqa: S108 -- a path in a value
RUN = "20261123T150405Z-ab12"
OWN = f"{WORK}/{RUN}-block-001"
OTHER = f"{WORK}/20261123T160000Z-cd34-block-001"
INIT = Process(1, 1, 0, 0, "systemd", "")
BEFORE = Snapshot(
    boot_id="one",
    taken_s=1.0,
    work_dir=WORK,
    sysctls={"net.core.somaxconn": "4096", "net.ipv4.ip_forward": "0", "net.ipv4.conf.eth0.forwarding": "0"},
    processes=(INIT,),
    listeners=(ListeningSocket("tcp", "0.0.0.0 port 22", 1),),
    mounts=frozenset({("/", "ext4", "/dev/sda1")}),
    services={"ssh.service": "active"},
    files={},
    bpf_programs={3: "sd_devices"},
)


def after(**changes: object) -> tuple[HostChange, ...]:
    """Return what a host differs in that was like BEFORE and had these changes."""
    return differences(BEFORE, replace(BEFORE, **changes), RUN)  # type: ignore[arg-type]  # fields of several types


def left(run: str, **more: object) -> tuple[Process, ...]:
    """Return the host's processes and one more."""
    values = {"pid": 900, "start_ticks": 77, "parent": 1, "uid": 0, "name": "python3", "run": run, **more}
    return (INIT, Process(**values))  # type: ignore[arg-type]  # fields of several types


def test_a_host_that_is_as_it_was_differs_in_nothing() -> None:
    assert after(taken_s=2.0) == ()


@pytest.mark.parametrize(
    ("changes", "want", "sense"),
    [
        pytest.param(
            {"sysctls": {**BEFORE.sysctls, "net.core.somaxconn": "77"}}, "was 4096 and is 77", Sense.RUN, id="sysctl"
        ),
        pytest.param({"processes": left(OWN)}, "process 900 (python3) was not there", Sense.RUN, id="marked process"),
        pytest.param({"processes": left("cache", name="hello")}, "process 900", Sense.RUN, id="a script of the cache"),
        pytest.param(
            {"processes": left("cache", name="httpd")}, "process 900", Sense.UNKNOWN, id="a httpd of the cache"
        ),
        pytest.param({"files": {OWN: OWN}}, f"{OWN} was left", Sense.RUN, id="directory of a block"),
        pytest.param({"files": {"/tmp/cgid-ab-1": OWN}}, "/tmp/cgid-ab-1", Sense.RUN, id="sockets"),  # noqa: S108 -- a name
        pytest.param({"mounts": BEFORE.mounts | {(f"{OWN}/x", "tmpfs", "none")}}, "is mounted", Sense.RUN, id="mount"),
        pytest.param(
            {"bpf_programs": {3: "sd_devices", 9: "cgidlab"}}, "bpf program 9", Sense.UNKNOWN, id="bpf program"
        ),
        pytest.param(
            {"sysctls": {**BEFORE.sysctls, "net.ipv4.ip_forward": "1"}},
            "net.ipv4.ip_forward",
            Sense.UNKNOWN,
            id="a sysctl that no trial sets",
        ),
        pytest.param(
            {"processes": left("", uid=65534, name="httpd")}, "process 900", Sense.UNKNOWN, id="a httpd without a mark"
        ),
        pytest.param({"files": {"/tmp/cgid-ab-1": ""}}, "was left", Sense.UNKNOWN, id="sockets of nobody"),  # noqa: S108 -- a name
        pytest.param({"processes": left("")}, "process 900", Sense.OTHERS, id="somebody's process"),
        pytest.param({"processes": left(OTHER)}, "process 900", Sense.OTHERS, id="a process of another run"),
        pytest.param({"processes": ()}, "process 1 (systemd) ended", Sense.OTHERS, id="a process that ended"),
        pytest.param({"files": {OTHER: OTHER}}, OTHER, Sense.OTHERS, id="another run's block"),
        pytest.param(
            {"sysctls": {**BEFORE.sysctls, "net.ipv4.conf.eth0.forwarding": "1"}},
            "eth0",
            Sense.OTHERS,
            id="a sysctl of one interface",
        ),
        pytest.param({"bpf_programs": {4: "sd_devices"}}, "bpf program 4", Sense.OTHERS, id="systemd's bpf program"),
        pytest.param({"services": {"ssh.service": "failed"}}, "ssh.service", Sense.OTHERS, id="service"),
        pytest.param({"boot_id": "two"}, "rebooted", Sense.OTHERS, id="reboot"),
    ],
)
def test_a_difference_is_reported_with_whose_it_is(changes: dict[str, object], want: str, sense: Sense) -> None:
    (found,) = after(**changes)

    assert want in found.text
    assert found.sense is sense


def test_a_listener_is_its_owners() -> None:
    listeners = (*BEFORE.listeners, ListeningSocket("tcp", "127.0.0.1 port 8080", 900))

    ours = after(processes=left(OWN), listeners=listeners)
    theirs = after(processes=left(""), listeners=listeners)

    assert [d.sense for d in ours] == [Sense.RUN, Sense.RUN]
    assert {d.sense for d in theirs} == {Sense.OTHERS}


def test_a_bpf_program_is_the_runs_while_a_process_of_the_run_lives() -> None:
    found = after(processes=left(OWN), bpf_programs={3: "sd_devices", 9: "cgidlab"})

    assert [d.sense for d in found] == [Sense.RUN, Sense.RUN]


def test_what_another_living_run_holds_is_not_blamed_on_this_one() -> None:
    found = after(
        processes=(*left(OTHER), Process(901, 78, 1, 65534, "hello", "cache")), bpf_programs={3: "", 9: "cgidlab"}
    )

    assert {d.sense for d in found} == {Sense.OTHERS}


def test_interfaces_that_came_and_went_are_no_difference_of_settings() -> None:
    assert (
        after(sysctls={k: v for k, v in BEFORE.sysctls.items() if "eth0" not in k} | {"net.ipv4.conf.v1.x": "1"}) == ()
    )


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text() | st.floats(),
        lambda c: (
            st.lists(c) | st.dictionaries(st.sampled_from(["schema_version", "boot_id", "sysctls", "processes"]), c)
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_what_a_host_says_instead_of_a_snapshot_is_refused_in_our_words(data: bytes) -> None:
    with pytest.raises(StoreError):
        parse_snapshot(data, where="x.json")
