"""What a run left is read where Ansible was never installed: by the real packages, in an environment without it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import runner
from cgidlab.commands import VERBS
from cgidlab.runs import concluding, store
from scripts import make_synthetic_run as synthetic

ROOT = Path(__file__).parents[2]
LOG = ROOT / "tests/data/error_log/overflow.own.log"
READING = {
    "report": ["{a}"],
    "compare": ["{a}", "{b}", "--format", "json"],
    "status": ["--results", "{results}"],
    "history": ["{name}", "--results", "{results}"],
    "parse-log": [str(LOG)],
    "schema": [],
    "--version": [],
    "--help": [],
}


def _environment(site: Path, *lacking: str) -> Mapping[str, str]:
    """Return an environment for `python -S` with all packages of this one but some."""
    site.mkdir()
    for package in Path(np.__file__).parents[1].iterdir():
        if not package.name.startswith(lacking):
            (site / package.name).symlink_to(package)
    return {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(site)}


def _python(environment: Mapping[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", *argv]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return an environment without Ansible, after a look at it: runner.py would find another one by itself."""
    environment = _environment(tmp_path_factory.mktemp("bare") / "site", "ansible")
    said = _python(environment, "-c", "import runner; print(runner.missing(['run']), runner.missing(['report', 'x']))")
    assert said.stdout == "['ansible', 'ansible_runner'] []\n", said.stderr
    return environment


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two finished runs of one experiment."""
    first = synthetic.write(synthetic.synthesise(24), tmp_path_factory.mktemp("results"))
    concluding.conclude(store.RunDirectory(first))
    return first, shutil.copytree(first, first.with_name("20250616T150640Z-synthetic"))


@pytest.mark.parametrize("verb", [verb for verb in READING if runner.NEEDS[verb] == runner.READING])
def test_a_verb_that_reads_works_without_ansible(verb: str, bare: Mapping[str, str], runs: tuple[Path, Path]) -> None:
    a, b = runs
    places = {"a": a, "b": b, "results": a.parent.parent, "name": a.parent.name}
    before = (a / "summary.json").read_bytes()

    said = _python(bare, "runner.py", verb, *(w.format(**places) for w in READING[verb]))

    assert said.returncode == 0, said.stderr
    assert said.stdout
    assert (a / "summary.json").read_bytes() == before


def test_a_verb_that_needs_ansible_says_which_package_is_missing(bare: Mapping[str, str]) -> None:
    said = _python(bare, "-c", "import runner, sys; runner.STAMP = ''; sys.argv = ['', 'run']; sys.exit(runner.main())")

    assert said.returncode == runner.EXIT_MISSING
    assert "(ansible, ansible_runner)" in said.stderr


@pytest.mark.parametrize("package", ["numpy", "pydantic", "scipy"])
def test_a_package_that_cannot_be_loaded_is_named_without_a_traceback(package: str, tmp_path: Path) -> None:
    """As on a file system that is mounted noexec, where numpy adds a page of advice."""
    environment = _environment(tmp_path / "site", "ansible", package)
    (tmp_path / "site" / f"{package}.py").write_text(
        "try:\n    raise ImportError('x.so: failed to map segment from shared object')\n"
        "except ImportError as err:\n    raise ImportError('\\n\\nREAD THIS') from err\n"
    )

    said = _python(environment, "runner.py", "compare", "a", "b")

    assert said.returncode == runner.EXIT_MISSING
    assert "error: a package cannot be loaded: x.so: failed to map segment from shared object\n" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("verb", [verb for verb in runner.NEEDS if runner.NEEDS[verb] != runner.READING])
def test_a_verb_needs_no_package_that_the_runner_does_not_ask_for(verb: str, tmp_path: Path) -> None:
    """With the standard library and these packages alone it still works."""
    lacking = (package for package in runner.PACKAGES if package not in runner.NEEDS[verb])
    environment = _environment(tmp_path / "site", *lacking)

    said = _python(environment, "runner.py", verb, *READING.get(verb, []))

    assert said.returncode == 0, said.stderr


def test_every_verb_that_the_runner_knows_is_one() -> None:
    names = {register.__module__.rpartition(".")[2].replace("_", "-") for register in VERBS}

    assert {name for name in runner.NEEDS if not name.startswith("-")} <= names
