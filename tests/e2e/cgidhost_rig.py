"""Runs blocks with the host's helper alone, without Ansible, on a provisioned host."""

import csv
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import yaml

from cgidlab.design import catalogue, faults
from cgidlab.engine import execute
from tests.reach import let_pass

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles" / "server" / "templates" / "httpd.conf.j2"
SYSTEM_TEMPLATES = ROOT / "roles" / "systems" / "templates"
CATALOGUE = catalogue.load(ROOT / "roles")
NOBODY = 65534


def defaults() -> dict[str, Any]:
    """Return every role's defaults by short name, as the runner resolves them."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "roles").glob("*/defaults/main.yml")):
        role = path.parent.parent.name
        values = yaml.safe_load(path.read_text()) or {}
        found.update({name.removeprefix(f"{role}_"): value for name, value in values.items()})
    return found


@dataclass
class Outcome:
    """What one trial left."""

    entry: dict[str, Any]  # what await said
    archive: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Return every file of the archive."""
        with tarfile.open(self.archive) as tar:
            return {m.name: found.read() for m in tar if (found := tar.extractfile(m)) is not None}

    @cached_property
    def result(self) -> dict[str, Any]:
        """Return result.json."""
        found: dict[str, Any] = json.loads(self.files["result.json"])
        return found

    def checks(self) -> dict[str, tuple[str, str]]:
        """Return what the read-back wanted and found, by name."""
        return {c["name"]: (c["want"], c["found"]) for c in json.loads(self.files["readback.json"])["checks"]}

    def table(self, name: str) -> list[dict[str, str]]:
        """Return an instrument's rows."""
        return list(csv.DictReader(io.StringIO(self.files[f"instruments/{name}.csv"].decode())))

    def connects(self) -> list[tuple[int, int, int]]:
        """Return each connect's end, duration in µs and result, within load's time and a little more."""
        lines = self.files["instruments/connect_times.csv"].decode().split()
        return [(int(a), int(b), int(c)) for a, b, c in (line.split(",") for line in lines)]


class Rig:
    """The helper and the httpd of a provisioned host."""

    def __init__(self, host: dict[str, Any], work: Path, python: str | None = None) -> None:
        self.host = host
        self.work = let_pass(work)
        self.python = python or host["python"]
        self.prefix: list[str] = []  # words in front of every command

    @property
    def tools(self) -> dict[str, str | None]:
        """Return where each program is on this host."""
        return {name: tool["path"] for name, tool in self.host["tools"].items()}

    def trial(
        self,
        number: int,
        conf: str = "",
        scripts_dir: str = "",
        **changes: Any,  # noqa: ANN401 -- settings of any type
    ) -> dict[str, Any]:
        """Return a block's entry for a short trial with some settings changed; `conf` is added to httpd.conf."""
        entry: dict[str, Any] = {
            key: changes.pop(key) for key in ("fault", "url_path", "intervention_slot_s", "arrivals") if key in changes
        }
        settings = {
            **defaults(),
            **CATALOGUE.defaults(),
            "warmup_s": 0.5,
            "window_s": 1.0,
            "clients": 50,
            "workers": 100,
            "threads_per_child": 25,
            **changes,
        }
        plain = {name: value for name, value in settings.items() if not isinstance(value, list)}
        httpd = self.host["httpd"]["distro"]
        module = next(
            v for v in httpd["variants"] if all(v[name] == settings[name] for name in ("listen_backlog", "patches"))
        )
        entry.update(
            number=number,
            key=f"key-{number}",
            **execute.ordered(plain, CATALOGUE),
            httpd_binary=httpd["binary"],
            httpd_version=httpd["version"],
            module=module["path"],
            module_sha256=module["sha256"],
            port=8080,
            scripts_dir=scripts_dir or self.host["scripts_dir"],
            slowed_dir="" if scripts_dir else self.host["slowed_dir"],
        )
        described = {
            **entry,
            "cell": "e2e",
            "port": "@PORT@",
            "modules_dir": httpd["modules_dir"],
            "server_user": "nobody",
            "server_gid": NOBODY,
            "listen": "127.0.0.1",
            "remote": None,
            "finishing": faults.finishing({"fault": (entry.get("fault") or {}).get("action", faults.NONE)}),
        }
        options = {f"server_{name}": value for name, value in settings.items()}
        environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 -- no HTML
        text = environment.from_string(TEMPLATE.read_text()).render(trial=described, tools=self.tools, **options)
        own = {
            path.stem: environment.from_string(path.read_text()).render(trial=described)
            for path in (SYSTEM_TEMPLATES / str(entry["system"])).glob("*.j2")
        }
        return {**entry, "httpd_conf": text + conf, "system_files": own}

    def write(self, name: str, trials: list[dict[str, Any]], **changes: object) -> Path:
        """Write a block file and return its work directory."""
        directory = self.work / name
        directory.mkdir()
        block = {
            "schema_version": execute.BLOCK_VERSION,
            "block": 1,
            "work_dir": str(directory),
            "server_user": "nobody",
            "control": None,
            "lease_s": 60,
            "tools": self.tools,
            "scripts_dir": self.host["scripts_dir"],
            "trials": trials,
            **changes,
        }
        (directory / "block.json").write_text(json.dumps(block))
        return directory

    def say(self, *args: str) -> dict[str, Any]:
        """Run a verb and return its answer."""
        done = subprocess.run(
            [*self.prefix, self.python, self.host["helper"], *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd="/",
        )
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def start(self, directory: Path) -> int:
        """Start a block and return the block process's pid."""
        answer = self.say("start", "--block", str(directory / "block.json"))
        assert "pid" in answer, answer
        return int(answer["pid"])

    def outcome(self, directory: Path, number: int) -> Outcome:
        """Wait for a trial and return what it left."""
        answer = self.say("await", "--dir", str(directory), "--number", str(number), "--timeout", "60")
        assert answer["state"] == "ended", (answer, (directory / "cgidhost.log").read_text())
        return Outcome(answer, Path(answer["archive"]))

    def run(self, name: str, trials: list[dict[str, Any]]) -> dict[int, Outcome]:
        """Run a whole block and return its trials by number."""
        directory = self.write(name, trials)
        self.start(directory)
        return {t["number"]: self.outcome(directory, t["number"]) for t in trials}


def trial_processes(directory: Path) -> list[int]:
    """Return all processes of this machine that carry the mark of a trial below `directory`, or hold its block."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            marks = (path / "environ").read_bytes().split(b"\0")
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        marked = any(m.startswith(f"CGIDLAB_TRIAL={directory}/".encode()) for m in marks)
        if marked or (str(directory).encode() in words and int(path.name) != os.getpid()):
            found.append(int(path.name))
    return found
