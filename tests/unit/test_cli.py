"""The command line answers with results, or with one error and its exit status."""

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cgidlab import cli, commands

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
