"""The command line answers with results, or with one error and its exit status."""

import argparse
import json
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cgidlab import cli, commands
from cgidlab.design import catalogue, spec, strict_yaml

ROOT = Path(__file__).parents[2]
SMOKE = str(ROOT / "experiments" / "smoke.yml")


def test_plan_lists_every_trial_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["plan", SMOKE])

    out = capsys.readouterr().out
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if "  block " in line] == ["1", "2", "3", "4"]
    assert "2 cells x 2 passes x 1 block = 4 trials, one pass in 2 watched" in out
    assert out.endswith("builds and starts httpd from distro\nnothing was run\n")


def test_plan_names_the_source_of_a_stranger_that_would_be_built(capsys: pytest.CaptureFixture[str]) -> None:
    source = "git:https://example.org/httpd#main"

    cli.main(["plan", SMOKE, "--set", f"httpd={source}"])

    assert f"httpd from {source} (unverified: read it first)\n" in capsys.readouterr().out


def test_plan_as_json_has_the_order_and_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["plan", SMOKE, "--format", "json", "--set", "clients=40"])

    got = json.loads(capsys.readouterr().out)
    assert [t["number"] for t in got["trials"]] == [1, 2, 3, 4]
    assert got["sources"] == ["distro"]
    assert got["cells"][0]["settings"]["clients"] == 40
    assert got["estimated_s"] > 10


@pytest.mark.parametrize(
    ("argv", "want"),
    [
        (["plan", "no-such-file.yml"], "cannot read the experiment file"),
        (["plan", SMOKE, "--set", "client=4"], "use `clients`"),
        (["plan", SMOKE, "--set", "clients"], "--set takes name=value"),
        (["plan", SMOKE, "--only", "listen_backlog=6"], "no level `6`"),
        (["plan", SMOKE, "--target", "nowhere"], "no inventory"),
        ([SMOKE, "--set", "workers=7"], "not a multiple"),
    ],
)
def test_a_users_mistake_is_one_error_with_exit_status_2(
    argv: list[str], want: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(argv)

    err = capsys.readouterr().err
    assert status == 2
    assert want in err
    assert "Traceback" not in err


def test_schema_knows_every_option_and_accepts_the_kept_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["schema"])

    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["settings"]["properties"]["mpm"]["enum"] == ["event", "worker", "prefork"]
    assert schema["properties"]["factors"]["additionalProperties"] is False


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yml")), ids=lambda p: p.stem)
def test_every_kept_experiment_is_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(path)]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yml")), ids=lambda p: p.stem)
def test_no_kept_experiment_asks_for_one_module_twice(path: Path) -> None:
    """A worker tries again while its tries are fewer than `connect_attempts`: never with 0, and never with 1."""
    found = spec.build(strict_yaml.parse(path.read_bytes(), str(path)), catalogue.load(ROOT / "roles"))

    attempts = {lv.value for f in found.factors if f.name == "connect_attempts" for lv in f.levels}
    assert not {0, 1} <= attempts


def test_every_module_that_is_a_verb_can_be_called() -> None:
    modules = [import_module(f"{commands.__name__}.{m.name}") for m in pkgutil.iter_modules(commands.__path__)]

    assert {m.register for m in modules if hasattr(m, "register")} == set(commands.VERBS)


def test_a_log_from_elsewhere_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["parse-log", str(ROOT / "tests/data/error_log/dead_daemon.2.4.54.log"), "--format", "json"])

    got = json.loads(capsys.readouterr().out)
    assert status == 0
    assert got["messages"]["AH01256"] == sum(got["retries"]["inside"].values()) > 0


@pytest.mark.parametrize(
    "argv",
    [
        ["--version"],
        ["--help"],
        ["run", "--help"],
        ["schema"],
        ["status"],
        ["validate", "experiments/smoke.yml"],
        ["plan", "experiments/smoke.yml"],
    ],
    ids=" ".join,
)
def test_a_verb_that_computes_nothing_waits_for_no_array_library(argv: list[str]) -> None:
    """Importing numpy takes longer than all the rest of `--version`."""
    code = (
        "import sys\nfrom cgidlab.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'scipy', 'polars', 'altair'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


def test_closed_streams_are_done_without_and_no_file_takes_their_place(repo_root: Path, tmp_path: Path) -> None:
    code = "import os, sys; from cgidlab.cli import main; code = main(sys.argv[1:]); os._exit(code + os.open('/', 0))"
    argv = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code, "status", str(tmp_path / "nothing")]

    assert subprocess.run(argv, check=False, cwd=repo_root).returncode >= 1 + 3  # status 1, and a number of its own


ONE_FORM = {
    "init": "it fills a directory, whose name is all that there is to say",
    "schema": "a JSON Schema is the one form of a JSON Schema",
    "completion": "it prints a shell's own code",
}
"""Verbs without `--format`, each with its reason."""
RATES = """\
schema_version: 1
name: rates
question: At which rate does p99 exceed 100 ms?
factors: {rate: [50, 100]}
settings: {workers: 100, threads_per_child: 100}
load: {loop: open}
repetitions: 6
"""
METAVAR = re.compile(r"\+?[A-Z]+(?:[_=:|,][A-Z]+)*(?:,\.\.\.)?")


def taken(name: str) -> list[argparse.Action]:
    """Return what a verb takes, its help apart."""
    return [a for a in dict(cli.verbs())[name]._actions if a.dest != "help"]  # noqa: SLF001 -- argparse has no other way


@pytest.mark.parametrize("name", [name for name, _ in cli.verbs()])
def test_every_verb_says_what_it_found_as_json_too_or_has_a_reason(name: str) -> None:
    formats = [a for a in taken(name) if "--format" in a.option_strings]

    assert bool(formats) != (name in ONE_FORM), "add it with options.add_format, or name the reason in ONE_FORM"
    for action in formats:
        assert action.choices is not None
        assert "json" in action.choices
        assert action.default == next(iter(action.choices))
        assert str(action.help).endswith(f"(default: {action.default})")


@pytest.mark.parametrize("name", [name for name, _ in cli.verbs()])
def test_what_a_verb_takes_is_a_word_in_capitals_and_the_same_one_in_all_verbs(name: str) -> None:
    everywhere = {word: a.metavar for verb, _ in cli.verbs() for a in taken(verb) for word in a.option_strings}

    for action in taken(name):
        if action.nargs != 0 and action.choices is None:
            assert METAVAR.fullmatch(str(action.metavar)), action
        for word in action.option_strings:
            assert action.metavar == everywhere[word], word


def test_a_good_file_and_a_new_one_are_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> Any:  # noqa: ANN401 -- JSON
        assert cli.main([*words, "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    rate = tmp_path / "rates.yml"
    rate.write_text(RATES)
    assert told("validate", SMOKE) == {
        "schema_version": 1, "good": True, "cells": 2, "most_trials": 4, "asks": [], "notes": [],
    }  # fmt: skip
    assert told("validate", str(rate))["asks"] == [{"response": "latency_p99_ms", "bound": 100.0}]
    assert {"name", "question"} == set(told("new")["experiments"][0])
    made = told("new", "mine", "--directory", str(tmp_path))
    assert made == {"schema_version": 1, "experiment": str(tmp_path / "mine.yml"), "like": "backlog-sweep"}


@pytest.mark.parametrize(
    ("argv", "want"),
    [
        (["run", SMOKE, "--if-changed", "--format", "json"], "what --if-changed finds is said in words"),
        (["run", SMOKE, "--lang", "ja", "--format", "json"], "json is English"),
        (["report", "x", "--lang", "ja", "--format", "junit"], "junit is English"),
    ],
)
def test_a_form_that_does_not_go_with_another_word_is_refused_first(
    argv: list[str], want: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    assert want in capsys.readouterr().err
