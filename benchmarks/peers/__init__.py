"""The other ways to run the same trials: what each is called, and how it runs n of them.

Every way runs the same script: own namespaces, httpd, first answer, load, and
then the end of the namespace's first process, with which the kernel ends all the others.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import ROOT, say

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".cache" / "peers"


@dataclass(frozen=True, slots=True)
class Script:
    """One trial as benchmarks/peers/trial.sh runs it."""

    directory: Path
    httpd: str

    @property
    def words(self) -> list[str]:
        """Return its command line."""
        return [str(HERE / "trial.sh"), str(self.directory), self.httpd]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run n trials; `run` returns what each took, in seconds, windows included."""

    name: str
    run: Callable[[Script, int, Path], list[float]]


def install() -> tuple[Way, ...]:
    """Make the environments of those that need one, and return all ways."""
    enoslib, iops = _environment("enoslib"), _environment("iops")
    return (
        Way("a bare shell loop", _bare),
        Way("one `ansible-playbook` a trial", _playbook),
        Way(
            "EnOSlib 10.9.0, four Ansible tasks a trial",
            lambda s, n, w: _timed_inside(enoslib, "enoslib_trials.py", s, n, w),
        ),
        Way("IOPS 3.5.10, one script a trial", lambda s, n, w: _iops(iops, s, n, w)),
    )


def _environment(name: str) -> Path:
    python = ENVIRONMENTS / name / "bin" / "python"
    lock = HERE / f"{name}.lock"
    stamp = ENVIRONMENTS / name / "lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return python
    say(f"installing {name} into an environment of its own")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENTS / name)], check=True)
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(lock),
    ]
    subprocess.run(pip, check=True)
    stamp.write_bytes(lock.read_bytes())
    return python


def _bare(script: Script, trials: int, _work: Path) -> list[float]:
    return [_took(script.words) for _ in range(trials)]


def _playbook(script: Script, trials: int, work: Path) -> list[float]:
    inventory = work / "peer.yml"
    inventory.write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {"peer": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}
                }
            }
        )
    )
    return playbooks(inventory, "peer", script.directory / "httpd.conf", script, trials)


def playbooks(inventory: Path, host: str, conf: Path, script: Script, trials: int) -> list[float]:
    """Run one `ansible-playbook` a trial on a host of an inventory; return what each took."""
    variables = {
        "trial_conf": str(conf),
        "trial_directory": str(script.directory),
        "trial_httpd": script.httpd,
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    words = [program, "-i", str(inventory), "--limit", host, "-e", json.dumps(variables), str(HERE / "trial.yml")]
    return [_took(words, {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}) for _ in range(trials)]


def _timed_inside(python: Path, program: str, script: Script, trials: int, work: Path) -> list[float]:
    """Run a program that runs the trials and prints what each took, a line each."""
    words = [str(python), str(HERE / program), *script.words, str(trials)]
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(words, check=False, capture_output=True, text=True, cwd=work, env=env)
    took_s = [float(line.partition("=")[2]) for line in ran.stdout.splitlines() if line.startswith("took_s=")]
    if ran.returncode != 0 or len(took_s) != trials:
        raise SystemExit(f"{program} failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return took_s


def _iops(python: Path, script: Script, trials: int, work: Path) -> list[float]:
    """Run the trials as IOPS' repetitions; each writes when it began, and the last one's end is IOPS' own."""
    directory = work / "iops"
    directory.mkdir(exist_ok=True)
    begins = directory / "begins"
    begins.unlink(missing_ok=True)
    config = directory / "trials.yml"
    text = (HERE / "iops.yml.in").read_text()
    for name, value in {
        "DIRECTORY": str(directory), "TRIALS": str(trials), "BEGINS": str(begins), "SCRIPT": " ".join(script.words)
    }.items():  # fmt: skip
        text = text.replace(f"@{name}@", value)
    config.write_text(text)
    ran = subprocess.run(
        [str(python.parent / "iops"), "run", str(config)], check=False, capture_output=True, text=True, cwd=directory
    )
    ended_s = time.time()
    began_s = [float(line) for line in begins.read_text().splitlines()] if begins.exists() else []
    if ran.returncode != 0 or len(began_s) != trials:
        raise SystemExit(f"IOPS failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return [b - a for a, b in zip(began_s, [*began_s[1:], ended_s], strict=True)]


def _took(words: list[str], more: Mapping[str, str] | None = None) -> float:
    began_s = time.monotonic()
    ran = subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, **(more or {})})
    if ran.returncode != 0:
        raise SystemExit(f"{words[0]} failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return time.monotonic() - began_s
