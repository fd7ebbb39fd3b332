"""What doctor says of a host's answers, row by row."""

import copy
from typing import Any

import pytest

from cgidlab.engine import doctor, unreachable
from cgidlab.engine.doctor import Examined, Failure, Health

CHANGED_KEY = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for 192.0.2.1 has changed and you have requested strict checking.
Host key verification failed."""
FINE: dict[str, Any] = {
    "host_reach": {"first_s": 0.4, "round_trip_s": 0.02, "clock_offset_s": 0.001, "clock_bound_s": 0.009},
    "host_survey": {
        "os_family": "Debian",
        "facts": {"kernel": "6.1.0", "distribution": "Debian GNU/Linux", "distribution_version": "12.5"},
        "dirs": {"cache": "/var/cache/cgidlab", "work": "/srv/cgidlab-0"},
    },
    "host_tools": {"missing": []},
    "host_doctor": {
        "python": "/usr/bin/python3",
        "python_version": "3.9.18",
        "user": "root",
        "root": True,
        "sudo": False,
        "free_bytes": {"cache": 1 << 31, "work": 1 << 31},
        "install_command": "apt-get install",
        "probe": {
            "root": True,
            "namespaces_root": {"ok": True, "reason": "", "sysctls": {"somaxconn": {"ok": True}}},
            "namespaces_user": {"ok": False, "reason": "forbidden"},
            **{
                name: {"ok": True}
                for name in ("pidfd", "unix_diag", "wchan", "bpf", "schedstat", "psi", "control_group")
            },
        },
    },
}


def _rows(failure: Failure | None = None, *, server: bool = True, **changes: object) -> dict[str, doctor.Finding]:
    """Return the rows by their check; `changes` are paths into FINE with __ between the parts."""
    results = copy.deepcopy(FINE)
    for path, value in changes.items():
        *inner, last = path.split("__")
        place: dict[str, Any] = results
        for name in inner:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return {row.check: row for row in doctor.rows(Examined("web1", server, results, failure))}


def test_a_host_that_has_all_is_fine_in_every_row() -> None:
    rows = _rows()

    assert {row.state for row in rows.values()} == {Health.OK}
    assert {row.advice for row in rows.values()} == {""}
    assert {"reachable", "become", "python", "kernel", "clock offset", "packages", "round trip", "namespaces"} <= set(
        rows
    )


@pytest.mark.parametrize(
    ("changes", "check", "state", "found", "advice"),
    [
        ({"host_reach__clock_offset_s": -3.0}, "clock offset", "fail", "-3000 ms", "chronyc"),
        ({"host_reach__round_trip_s": 0.9}, "round trip", "warn", "900 ms", "ControlMaster"),
        ({"host_survey__os_family": "Arch"}, "distribution", "fail", "Debian", "Enterprise Linux"),
        ({"host_doctor__python_version": "3.6.8"}, "python", "fail", "3.6.8", "ansible_python_interpreter"),
        ({"host_tools__missing": ["gcc", "make"]}, "packages", "warn", "gcc make", "provisioning installs"),
        (
            {"host_tools__missing": ["gcc"], "host_doctor__root": False, "host_doctor__user": "lab"},
            "packages",
            "fail",
            "gcc",
            "apt-get install gcc",
        ),
        ({"host_doctor__root": False, "host_doctor__sudo": True}, "become", "warn", "by sudo", "ansible_become: true"),
        ({"host_doctor__root": False}, "become", "warn", "cannot become root", "NOPASSWD"),
        ({"host_doctor__free_bytes__work": 1 << 20}, "disk (work)", "fail", "cgidlab-0", "host_work_dir"),
        ({"host_doctor__free_bytes__cache": 1 << 20}, "disk (cache)", "fail", "/var/cache", "host_cache_dir"),
        ({"host_doctor__probe__pidfd": {"ok": False, "reason": "ENOSYS"}}, "kernel", "fail", "6.1.0", "5.3"),
        ({"host_doctor__probe": None, "host_doctor__probe_error": "boom"}, "kernel", "fail", "boom", "helper"),
        ({"host_doctor__probe__bpf": {"ok": False, "reason": "EPERM"}}, "bpf, perf events", "warn", "EPERM", "BPF"),
        ({"host_doctor__probe__namespaces_root": {"ok": False, "reason": "no"}}, "namespaces", "fail", "no", "allow"),
        ({"host_doctor__probe__root": False}, "namespaces", "fail", "forbidden", "as root"),
        (
            {"host_doctor__probe__namespaces_root__sysctls": {"somaxconn": {"ok": False}}},
            "namespaces",
            "warn",
            "without somaxconn",
            "as root",
        ),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_what_is_not_fine_says_what_to_do(
    changes: dict[str, Any], check: str, state: str, found: str, advice: str
) -> None:
    row = _rows(**changes)[check]

    assert row.state == state
    assert found in row.found
    assert advice in row.advice


def test_a_clock_that_cannot_be_told_from_the_bound_is_not_blamed() -> None:
    assert _rows(host_reach__clock_offset_s=1.2, host_reach__clock_bound_s=0.3)["clock offset"].state is Health.OK


def test_a_machine_that_only_loads_needs_no_instruments() -> None:
    assert not {"namespaces", "sock_diag", "bpf, perf events"} & set(_rows(server=False))


@pytest.mark.parametrize(
    ("message", "found", "advice"),
    [
        ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", "timed out", "firewall"),
        ("root@192.0.2.1: Permission denied (publickey).", "Permission denied", "ssh-copy-id"),
        ("ssh: Could not resolve hostname web9: Name or service not known", "web9", "ansible_host"),
        ("No ED25519 host key is known for 192.0.2.1.\nHost key verification failed.", "verification", "accept it"),
        (
            CHANGED_KEY,
            "Host key for 192.0.2.1 has changed",
            "ssh-keygen -R",
        ),
        ("kex_exchange_identification: banner is odd", "banner is odd", "by hand"),
    ],
    ids=["silent", "no key", "no name", "unknown key", "changed key", "anything else"],
)
def test_a_host_that_cannot_be_reached_has_one_row_with_sshs_own_words(message: str, found: str, advice: str) -> None:
    said = f'Data could not be sent to remote host "x". Make sure this host can be reached over ssh: {message}'

    rows = doctor.rows(
        Examined("web1", server=True, results={}, failure=Failure("Reach the host", said, unreachable=True))
    )

    assert [row.check for row in rows] == ["reachable"]
    assert rows[0].state is Health.FAIL
    assert found in rows[0].found
    assert "Make sure" not in rows[0].found
    assert advice in rows[0].advice


@pytest.mark.parametrize(
    ("message", "check"),
    [
        ("Missing sudo password", "become"),
        ("The module interpreter '/usr/bin/python3' was not found.", "python"),
        ("something else entirely", "examination"),
    ],
)
def test_an_examination_that_ended_says_at_what(message: str, check: str) -> None:
    results = {"host_reach": FINE["host_reach"]}

    rows = doctor.rows(
        Examined("web1", server=True, results=results, failure=Failure("Survey the host", message, unreachable=False))
    )

    assert rows[-1].check == check
    assert rows[-1].state is Health.FAIL
    assert rows[-1].advice


def test_advice_is_given_even_for_words_that_are_not_known() -> None:
    assert unreachable.advice("") == unreachable.advice("what?")
