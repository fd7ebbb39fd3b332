"""The one table of what makes two runs comparable: every field with every verb that asks."""

import copy
from pathlib import Path
from typing import Any

import pytest

from cgidlab.compare import Difference, Recorded, differing
from cgidlab.compare.fields import BY_NAME, FIELDS, NAMES, Field, Verb, Weight

ROOT = Path(__file__).parents[2]
LEVELS = {"listen_backlog": "100"}
SETTINGS = {"listen_backlog": 100, "connect_attempts": 15, "patches": "", "httpd": "distro", "driver": "h2load"}
HTTPD = {
    "version": "2.4.68",
    "source": "apache2 2.4.68-1",
    "source_sha256": "s",
    "compiler": "gcc 12.2.0",
    "build_key": "k",
    "variants": [{"listen_backlog": 100, "connect_attempts": 15, "patches": "", "sha256": "m"}],
}
FACTS = {
    "cpu_model": "EPYC",
    "cpus": 2,
    "kernel": "6.1",
    "machine_id_sha256": "i",
    "architecture": "x86_64",
    "memory_mb": 2048,
    "distribution": "Debian",
    "distribution_version": "12.11",
    "virtualization": "kvm",
    "clocksource": "tsc",
}
RUN: dict[str, Any] = {
    "plan": {
        "files": {"path:mine.cgi": "f"},
        "hooks": {"after_trial": ["x"]},
        "target": "local",
        "seed": 1,
        "rule": {"factor": "listen_backlog"},
        "settings": {"window_s": 5.0},
        "cells": [{"levels": LEVELS, "settings": SETTINGS}],
    },
    "provenance": {
        "cgidlab": "0.1.0",
        "experiment_sha256": "e",
        "roles_sha256": "r",
        "playbooks_sha256": "p",
        "measuring_sha256": "m",
        "git": {"commit": "c"},
        "control": {"python": "3.11.7", "packages": {"ansible-core": "2.19.14"}},
        "hosts": {
            "web1": {
                "facts": FACTS,
                "httpd": {"distro": HTTPD},
                "tools": {"h2load": {"version": "1.52.0"}, "bpftrace": {"version": "0.17.0"}},
                "scripts": {"hello": {"sha256": "h", "interpreter": {"sha256": "i"}}},
            }
        },
    },
}
HOST = ("provenance", "hosts", "web1")
BUILD = (*HOST, "httpd", "distro")
# Where each field is written down.
PLACES: dict[str, tuple[str | int, ...]] = {
    "experiment": ("provenance", "experiment_sha256"),
    "command_line": ("plan", "settings", "window_s"),
    "settings": ("plan", "cells", 0, "settings", "connect_attempts"),
    "target": ("plan", "target"),
    "seed": ("plan", "seed"),
    "rule": ("plan", "rule"),
    "roles": ("provenance", "roles_sha256"),
    "playbooks": ("provenance", "playbooks_sha256"),
    "measuring": ("provenance", "measuring_sha256"),
    "cgidlab": ("provenance", "cgidlab"),
    "commit": ("provenance", "git", "commit"),
    "ansible_core": ("provenance", "control", "packages", "ansible-core"),
    "python": ("provenance", "control", "python"),
    "hosts": ("provenance", "hosts", "web2"),
    **{name: (*HOST, "facts", name) for name in FACTS if name != "machine_id_sha256"},
    "machine": (*HOST, "facts", "machine_id_sha256"),
    "httpd_version": (*BUILD, "version"),
    "httpd_source": (*BUILD, "source"),
    "httpd_source_sha256": (*BUILD, "source_sha256"),
    "compiler": (*BUILD, "compiler"),
    "httpd_build_key": (*BUILD, "build_key"),
    "mod_cgid": (*BUILD, "variants", 0, "sha256"),
    "driver_version": (*HOST, "tools", "h2load", "version"),
    "tools": (*HOST, "tools", "bpftrace", "version"),
    "scripts": (*HOST, "scripts", "hello", "sha256"),
    "interpreters": (*HOST, "scripts", "hello", "interpreter", "sha256"),
    "files": ("plan", "files", "path:mine.cgi"),
    "hooks": ("plan", "hooks", "after_trial"),
}
NEVER_WRITTEN = {"provenance"}  # that there is no record of a host


def changed(name: str) -> Recorded:
    """Return the run with another value of a field."""
    both = copy.deepcopy(RUN)
    *path, last = PLACES[name]
    place: Any = both
    for step in path:
        place = place[step]
    place[last] = copy.deepcopy(RUN["provenance"]["hosts"]["web1"]) if name == "hosts" else "other"
    return Recorded(both["plan"], both["provenance"])


def asked(verb: Verb, now: Recorded) -> tuple[Difference, ...]:
    """Return what a verb sees."""
    before = Recorded(RUN["plan"], RUN["provenance"])
    if verb is Verb.COMPARE:
        return differing.overall(before, now, [tuple(LEVELS.items())])
    return differing.between(before, now, verb)


def test_every_field_is_tried() -> None:
    assert {*PLACES, *NEVER_WRITTEN} == {*NAMES}


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("name", PLACES)
def test_each_verb_does_about_each_field_what_the_table_says(name: str, verb: Verb) -> None:
    want = BY_NAME[name].weight(verb)

    found = asked(verb, changed(name))

    mine = {d.weight for d in found if d.field == name}
    assert mine == (set() if want is Weight.NOTHING else {want})
    if want is Weight.DECIDES:
        assert [d for d in differing.barred(found, ()) if d.field == name]
        assert not [d for d in differing.barred(found, [name]) if d.field == name]


@pytest.mark.parametrize("field", [f for f in FIELDS if f.compare is Weight.DECIDES], ids=lambda f: f.name)
def test_what_bars_a_comparison_bars_a_resume_and_is_a_reason_to_run(field: Field) -> None:
    """Or `--if-changed` would pass over what the next `compare` refuses to pass over."""
    assert (field.resume, field.if_changed) == (Weight.DECIDES, Weight.DECIDES)


@pytest.mark.parametrize("name", [f.name for f in FIELDS if f.about != "design" and f.name in PLACES])
def test_the_environment_of_trials_has_another_name_when_what_bars_a_resume_differs(name: str) -> None:
    before = Recorded(RUN["plan"], RUN["provenance"])

    same = differing.identity(before, "web1") == differing.identity(changed(name), "web1")

    assert same is (BY_NAME[name].resume is not Weight.DECIDES)


def test_a_newer_driver_is_seen_by_all_three() -> None:
    for verb in Verb:
        assert [d.word for d in asked(verb, changed("driver_version")) if d.decides] == ["driver_version"]


def test_the_documents_have_the_table() -> None:
    words = {Weight.TOLD: "told", Weight.NOTHING: ""}
    bars = {Verb.RESUME: "bars", Verb.COMPARE: "bars", Verb.IF_CHANGED: "runs"}
    want = [(f"`{f.name}`", *(words.get(f.weight(verb), bars[verb]) for verb in Verb)) for f in FIELDS]

    lines = (ROOT / "docs/compare.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]

    assert [(row[0], *row[2:]) for row in rows if len(row) == 2 + len(Verb)] == want
