"""What an installed cgidlab, and its roles as a collection, hold."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import cgidlab
from tests.contract.test_layout import tracked


def project(repo_root: Path) -> dict[str, object]:
    return tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))


def test_a_wheel_needs_what_the_locks_are_made_from(repo_root: Path) -> None:
    lines = (repo_root / "requirements.in").read_text(encoding="utf-8").splitlines()
    wanted = sorted(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    declared = project(repo_root)["project"]

    assert isinstance(declared, dict)
    assert sorted(declared["dependencies"]) == wanted


def test_one_version_stands_everywhere(repo_root: Path) -> None:
    declared = project(repo_root)["project"]
    galaxy, citation = (
        yaml.safe_load((repo_root / n).read_text(encoding="utf-8")) for n in ("galaxy.yml", "CITATION.cff")
    )

    assert isinstance(declared, dict)
    assert {declared["version"], galaxy["version"], citation["version"]} == {cgidlab.__version__}
    assert declared["license"] == citation["license"] == "Apache-2.0"


def test_a_wheel_carries_all_that_is_read_beside_the_package(repo_root: Path) -> None:
    tool = project(repo_root)["tool"]
    assert isinstance(tool, dict)
    carried: dict[str, str] = tool["hatch"]["build"]["targets"]["wheel"]["force-include"]
    code = "\n".join(p.read_text(encoding="utf-8") for p in tracked(repo_root, "cgidlab/*.py"))
    read = set(re.findall(r'\b(?:root|ROOT) / "([\w.]+)"', code))

    assert {name: f"cgidlab/project/{name}" for name in carried} == carried
    assert all((repo_root / name).exists() for name in carried)
    assert {"roles", "playbooks", "inventories", "experiments", "ansible.cfg"} <= set(carried)
    assert read - {name.partition("/")[0] for name in carried} <= {".vagrant", ".git"}


def test_the_package_is_a_command_too(repo_root: Path, tmp_path: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "cgidlab", *words]
        return subprocess.run(argv, cwd=repo_root, check=False, capture_output=True, text=True)

    assert call("--version").stdout == f"cgidlab {cgidlab.__version__}\n"
    assert "usage: cgidlab plan" in call("plan", "--help").stdout
    wrong = call("pllan")
    assert wrong.returncode == 2
    assert "runner.py" not in wrong.stderr
    own = tmp_path / "lab"
    assert call("init", str(own)).returncode == 0
    assert (own / "experiments" / "smoke.yml").read_bytes() == (repo_root / "experiments/smoke.yml").read_bytes()
    said = call("new", "my-question", "--directory", str(own / "experiments"))
    assert "cgidlab plan" in said.stdout
    assert "runner.py" not in said.stdout
    again = call("init", str(own))
    assert (again.returncode, "nothing is overwritten" in again.stderr) == (2, True)


@pytest.mark.skipif(shutil.which("ansible-galaxy") is None, reason="ansible-galaxy is not on the path")
def test_the_roles_build_as_a_collection_that_ansible_can_read(repo_root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path in tracked(repo_root):
        target = source / path.relative_to(repo_root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    def ansible(*argv: str) -> str:
        environment = {
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_LOCALHOST_WARNING": "no",
        }
        program = shutil.which(argv[0])
        assert program is not None
        done = subprocess.run(
            [program, *argv[1:]], cwd=source, check=False, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ansible("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    (built,) = tmp_path.glob("cgidlab-lab-*.tar.gz")
    with tarfile.open(built) as archive:
        names = set(archive.getnames())
    roles = {str(p.relative_to(repo_root)) for p in tracked(repo_root, "roles/*")}
    assert roles <= names
    beside = {name.partition("/")[0] for name in names} - {"roles"}
    assert beside <= {
        "README.md",
        "README.ja.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "MANIFEST.json",
        "FILES.json",
        "meta",
    }

    ansible(
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "--no-deps",
        str(built),
        "-p",
        str(tmp_path / "collections"),
    )
    said = ansible(
        "ansible-doc",
        "-t",
        "role",
        "-l",
        "-j",
        "--playbook-dir",
        str(tmp_path / "nothing"),
        "-r",
        str(tmp_path / "collections/ansible_collections/cgidlab/lab/roles"),
    )
    known = json.loads(said)
    assert {p.name for p in (repo_root / "roles").iterdir()} == {name.rpartition(".")[2] for name in known}
    assert all("main" in (entry.get("entry_points") or entry) for entry in known.values())


def test_the_hooks_before_a_commit_are_programs_of_the_environment(repo_root: Path) -> None:
    hooks = yaml.safe_load((repo_root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lint = (repo_root / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]

    for hook in hooks:
        program, *words = hook["entry"].split()
        assert program.startswith(".venv/bin/")
        name = program.rpartition("/")[2]
        assert name in lint or words[:2] == ["-m", "scripts.write_docs"], hook


def test_the_timer_starts_the_unit_beside_it_and_runs_what_the_readme_of_contrib_names(repo_root: Path) -> None:
    unit = (repo_root / "contrib/systemd/cgidlab-upgrade.service").read_text(encoding="utf-8")
    job = yaml.safe_load((repo_root / "contrib/ci/cgidlab.yml").read_text(encoding="utf-8"))
    commands = [
        re.search(r"cgidlab (run .*)", text) for text in (unit, *(s["run"] for s in job["jobs"]["measure"]["steps"]))
    ]
    said = {found[1] for found in commands if found}

    assert (repo_root / "contrib/systemd/cgidlab-upgrade.timer").exists()
    assert said == {"run experiments/apache-upgrade.yml --if-changed --budget 30m"}
    words = next(iter(said)).split()
    from cgidlab import cli  # noqa: PLC0415 -- the parser alone

    assert cli.parser().parse_args(words).if_changed is True
    readme = (repo_root / "contrib/README.md").read_text(encoding="utf-8")
    assert "systemd/cgidlab-upgrade.timer" in readme
    assert "ci/cgidlab.yml" in readme


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_timer_and_its_unit_are_what_systemd_reads(repo_root: Path, tmp_path: Path) -> None:
    for kind in ("service", "timer"):
        text = (repo_root / f"contrib/systemd/cgidlab-upgrade.{kind}").read_text(encoding="utf-8")
        (tmp_path / f"cgidlab-upgrade.{kind}").write_text(text.replace("/usr/local/bin/cgidlab", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "cgidlab-upgrade.timer")],
        check=False,
        capture_output=True,
        text=True,
    )

    assert [line for line in done.stderr.splitlines() if "cgidlab-upgrade" in line] == []
