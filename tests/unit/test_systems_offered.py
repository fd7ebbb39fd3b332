"""Which handlers a host cannot have is said with the reason, and a program that came by other means is taken."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_code import ROLES, module, utility

VARIABLES: dict[str, Any] = yaml.safe_load((ROLES / "systems" / "vars" / "main.yml").read_text(encoding="utf-8"))
KNOWN: dict[str, Any] = VARIABLES["__systems_known"]


systems_offered = module("systems", "systems_offered")
lab_packages = utility("lab_packages")


class Repositories:
    """Repositories that have some packages, and how often they were asked."""

    def __init__(self, *offered: str) -> None:
        self.offered, self.asked = offered, 0

    def lacking(self, packages: list[str], *, may_update: bool) -> list[str]:
        """Return those that they do not have."""
        assert may_update
        self.asked += 1
        return [name for name in packages if name not in self.offered]


def judge(
    cache: Path, repositories: Repositories, *, installed: tuple[str, ...] = (), programs: tuple[str, ...] = ()
) -> tuple[list[str], list[str]]:
    """Ask for all handlers on a host of Enterprise Linux with these packages, and programs that came otherwise."""
    packages = {name for about in KNOWN.values() for name in about["RedHat"]}
    params = {
        "handlers": KNOWN,
        "family": "RedHat",
        "missing": sorted(packages - set(installed)),
        "tools": {a["program"]: {"path": "/x" if a["program"] in programs else None} for a in KNOWN.values()},
        "found_in": VARIABLES["__systems_found_in"]["RedHat"],
        "cache_dir": str(cache),
    }
    lacking, reasons = systems_offered.judge(params, lambda: repositories, may_update=True)
    return lacking, reasons


APPSTREAM = ("mod_fcgid", "php-fpm", "php-opcache", "cpio")
EPEL = ("fcgiwrap", "python3-gunicorn", "uwsgi", "uwsgi-plugin-python3")


def test_without_epel_each_handler_that_needs_it_is_named_with_its_packages_and_where_they_are(tmp_path: Path) -> None:
    lacking, reasons = judge(tmp_path, Repositories(*APPSTREAM))

    assert sorted(lacking) == sorted(EPEL)
    assert reasons == [
        "fcgid needs fcgiwrap, which no repository of this host has (EPEL 9 has it)",
        "fcgiwrap needs fcgiwrap, which no repository of this host has (EPEL 9 has it)",
        "gunicorn needs python3-gunicorn, which no repository of this host has (EPEL has it)",
        "uwsgi needs uwsgi and uwsgi-plugin-python3, which no repository of this host has (EPEL has them)",
    ]


def test_with_all_repositories_nothing_is_lacking_and_they_are_asked_once(tmp_path: Path) -> None:
    repositories = Repositories(*APPSTREAM, *EPEL)

    assert judge(tmp_path, repositories) == ([], [])
    assert repositories.asked == 1


def test_a_module_that_no_repository_has_is_a_reason_whatever_is_installed_unless_it_is_in_the_cache(
    tmp_path: Path,
) -> None:
    everything = tuple(name for about in KNOWN.values() for name in about["RedHat"])

    lacking, reasons = judge(tmp_path, Repositories(), installed=everything, programs=("fcgiwrap",))
    assert lacking == ["mod_fcgid"]
    assert reasons == ["fcgid needs mod_fcgid, which no repository of this host has"]

    kept = Path(lab_packages.place_of_modules(str(tmp_path))) / "mod_fcgid-1"
    kept.mkdir(parents=True)
    (kept / "build.json").write_text(json.dumps({"path": str(kept / "mod_fcgid.so"), "version": "1"}))
    repositories = Repositories()
    assert judge(tmp_path, repositories, installed=everything) == ([], [])
    assert repositories.asked == 0, "nothing is needed"


def test_a_program_that_came_by_other_means_needs_no_package(tmp_path: Path) -> None:
    lacking, reasons = judge(tmp_path, Repositories(*APPSTREAM), programs=("fcgiwrap", "uwsgi"))

    assert [reason.split()[0] for reason in reasons] == ["gunicorn"]
    assert "fcgiwrap" in lacking, "and so it is not installed either"


@pytest.mark.parametrize(
    ("found_in", "want"),
    [
        ({}, ""),
        ({"a": "E"}, " (E has a)"),
        ({"a": "E", "b": "E"}, " (E has them)"),
        ({"a": "E", "b": "F"}, " (E has a, F has b)"),
    ],
)
def test_what_other_repositories_have_is_said_as_shortly_as_it_can_be(found_in: dict[str, str], want: str) -> None:
    assert systems_offered.hint(["a", "b"], found_in) == want


POLICY = """\
fcgiwrap:
  Installed: (none)
  Candidate: 1.1.0-14
  Version table:
     1.1.0-14 500
        500 http://deb.example/debian bookworm/main amd64 Packages
libapache2-mod-fcgid:
  Installed: (none)
  Candidate: (none)
  Version table:
     1:2.3.9-4 -1
        100 /var/lib/dpkg/status
"""


def test_apt_lacks_what_it_does_not_list_and_what_has_no_candidate() -> None:
    names = ["fcgiwrap", "libapache2-mod-fcgid", "no-such-package"]

    assert lab_packages.without_candidate(names, POLICY) == ["libapache2-mod-fcgid", "no-such-package"]


def test_dnf_is_asked_for_what_provides_a_package_of_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dnf").write_text(
        '#!/bin/sh\nfor last; do :; done\ncase "$*" in\n'
        "*--setopt=epel.enabled=1*--whatprovides*) [ $last != php-opcache ] || echo php-common;;\n"
        "*--whatprovides*) ;;\n"
        "*) echo php-fpm; echo php-fpm; echo other;;\nesac\n"
    )
    (tmp_path / "dnf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    names = ["php-fpm", "php-opcache", "uwsgi"]

    assert lab_packages.Dnf(["epel"]).lacking(names, may_update=True) == ["uwsgi"]
    assert lab_packages.Dnf([]).lacking(names, may_update=True) == ["php-opcache", "uwsgi"]
