"""What breaks in the middle of a real run: one error that says what to do, the right exit status, and nothing left."""

import csv
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cgidlab import failures
from tests.e2e.cgidhost_rig import Outcome, Rig
from tests.reach import let_pass
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

AT_ONCE_S = 15.0  # on a busy machine; a block that nobody asks for would end by itself, but much later
SYSCTLS = ("net/core/somaxconn", "net/unix/max_dgram_qlen", "net/ipv4/tcp_max_syn_backlog")
EXPERIMENT = """\
schema_version: 1
name: faults
question: Does what breaks leave anything behind?
factors: {listen_backlog: [5, 1024]}
settings: {workers: 50, threads_per_child: 25}
load: {loop: closed, driver: h2load, clients: 20}
warmup_s: 0.3
window_s: 1.0
repetitions: 1
seed: 1
noise: ignore
verdict: {factor: listen_backlog, reference: 1024}
"""


def processes(mark: str) -> dict[int, tuple[str, int]]:
    """Return name and parent of all processes that carry a text in command line or environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            name = (path / "comm").read_text().strip()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if mark.encode() in words and int(path.name) != os.getpid():
            found[int(path.name)] = (name, parent)
    return found


def named(mark: str, name: str) -> list[int]:
    """Return the processes of this name, oldest first."""
    return sorted(pid for pid, (its, _) in processes(mark).items() if its == name)


@dataclass
class Run:
    """A run of its own directory for results and work, and the process that it is."""

    place: Path
    root: Path
    process: subprocess.Popen[str] | None = None
    output: str = ""
    before: list[str] = field(default_factory=list)
    alone: bool = True  # nobody else makes sockets below /run at the same time

    def __post_init__(self) -> None:
        """Let httpd get to its trials."""
        let_pass(self.place)

    @property
    def work(self) -> Path:
        """Return the host's work directory."""
        return self.place / "work"

    @property
    def directory(self) -> Path:
        """Return the newest run directory."""
        return (self.place / "results" / "faults" / "latest").resolve()

    def start(
        self, *args: str, prefix: tuple[str, ...] = (), experiment: str = EXPERIMENT, terminal: int | None = None
    ) -> "Run":
        """Start the runner, with nobody at its standard input, or on a terminal."""
        (self.place / "faults.yml").write_text(experiment)
        hosts = {"local": None}
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "host_work_dir": str(self.work),
        }
        groups = {"servers": {"hosts": hosts}, "generators": {"hosts": hosts}}
        (self.place / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups, "vars": variables}}))
        self.before = sysctls()
        self.process = subprocess.Popen(
            [
                *(*prefix, sys.executable, "runner.py", str(self.place / "faults.yml"), "--uncalibrated"),
                *("--target", str(self.place / "inventory.yml"), "--results", str(self.place / "results"), *args),
            ],
            cwd=self.root,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT if terminal is None else terminal,
            text=True,
        )
        return self

    def end(self) -> int:
        """Wait for the runner, make sure that it left no traceback, and return its exit status."""
        assert self.process is not None
        self.output = self.process.communicate(timeout=400)[0]
        assert "Traceback" not in self.output, self.output
        return self.process.returncode

    def send(self, number: int) -> None:
        """Send the runner a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def under_load(self, trial: int = 1) -> bool:
        """Wait until a trial is under load."""
        name = f"{trial:03d}/load/rows.log"

        def loaded() -> bool:
            # Before its first block a run measures its driver, in trials of their own.
            begun = any(self.directory.glob("ansible/block-*"))
            return begun and any(p.stat().st_size for p in self.work.glob(f"*/{name}"))

        return eventually(loaded, 240)

    def processes(self) -> dict[int, tuple[str, int]]:
        """Return everything of this run that lives, the runner included."""
        return processes(str(self.place))

    def left(self) -> dict[str, object]:
        """Return what the run left behind that it should not have."""
        blocks = [p.name for p in self.work.iterdir() if p.name != "lock"] if self.work.exists() else []
        found: dict[str, object] = {"processes": self.processes(), "blocks": blocks, "sockets": []}
        if self.alone:
            found["sockets"] = list(Path("/run").glob("cgid-*"))  # where isolation: host has them
        found["sysctls"] = [] if sysctls() == self.before else sysctls()
        return {name: value for name, value in found.items() if value}

    def outcomes(self) -> list[dict[str, Any]]:
        """Return every outcome.json of the newest run, in the order of the trials."""
        return [json.loads(p.read_text()) for p in sorted(self.directory.glob("trials/*/outcome.json"))]

    def state(self) -> str:
        """Return what state.json says."""
        return str(json.loads((self.directory / "state.json").read_text())["state"])

    def report(self) -> subprocess.CompletedProcess[str]:
        """Make the report again from the run directory."""
        return subprocess.run(
            [sys.executable, "runner.py", "report", str(self.directory)],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )


def sysctls() -> list[str]:
    """Return the host's values of what trials set."""
    return [(Path("/proc/sys") / name).read_text().strip() for name in SYSCTLS]


@pytest.fixture(scope="module")
def rig(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(provisioned_host, tmp_path_factory.mktemp("blocks"))


@pytest.fixture
def run(provisioned_host: dict[str, Any], tmp_path: Path, repo_root: Path) -> Iterator[Run]:
    """Return a run that a test starts; whatever is left of it is ended."""
    assert provisioned_host
    made = Run(tmp_path, repo_root)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return what makes a file system of few bytes."""
    with ExitStack() as mounts:

        def make(name: str, size: str) -> Path:
            path = tmp_path / name
            path.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", path], check=True)
            mounts.callback(lambda: subprocess.run(["umount", "--lazy", path], check=True))
            return path

        yield make


# The user stops a run.


def test_ctrl_c_in_provisioning_ends_the_run_before_its_first_trial(run: Run) -> None:
    run.start()
    assert eventually(lambda: list((run.place / "results").glob("faults/*/ansible/provision/artifacts")))

    run.send(signal.SIGINT)

    assert run.end() == 130, run.output
    assert "error: stopped before the first trial" in run.output
    assert run.state() == "interrupted"
    assert run.left() == {}


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.matrix)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_stopped_run_keeps_what_is_complete_and_judges_it(run: Run, number: int) -> None:
    run.start("--set", "window_s=5")  # the first trial has to come home in the second one's
    assert run.under_load(2)
    assert eventually(lambda: list((run.place / "results").glob("faults/2*/ansible/*/incoming/001.arrival.json")))

    run.send(number)

    assert run.end() == 130, run.output
    assert [o["status"] for o in run.outcomes()] == ["complete"]
    assert run.state() == "interrupted"
    assert json.loads((run.directory / "summary.json").read_text())["trials"]["complete"] == 1
    assert "report.html" in run.output
    assert run.left() == {}


def test_a_second_ctrl_c_leaves_at_once_and_says_what_recover_would_find(run: Run) -> None:
    run.start("--set", "window_s=30")
    assert run.under_load()

    run.send(signal.SIGINT)
    assert run.process is not None
    assert run.process.stdout is not None
    assert any("once more to leave at once" in line for line in run.process.stdout)
    run.send(signal.SIGINT)

    assert run.end() == 130
    assert eventually(lambda: not run.processes(), AT_ONCE_S), run.processes()
    assert run.state() == "interrupted"
    assert set(run.left()) <= {"blocks"}, "a directory of the host may wait for the next run"
    assert "error: stopped at once; 0 trials are kept; its hosts may still hold processes and " in run.output
    held = re.search(r"hold processes and (\S+) on local\n", run.output)
    assert held is not None, run.output
    assert Path(held[1]).parent == run.work
    typed = re.search(r"give them back with: (.+); go on with: ", run.output)
    assert typed is not None, run.output
    recovered = subprocess.run(shlex.split(typed[1]), cwd=run.root, capture_output=True, text=True, check=False)
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert re.match(r"local: ", recovered.stdout), recovered.stdout
    assert run.left() == {}, "what it said is what `recover` gives back"


# Something is killed.


@pytest.mark.matrix
def test_nothing_outlives_a_killed_runner_and_the_next_run_works(run: Run) -> None:
    run.start("--set", "window_s=30", "--set", "somaxconn=77")
    assert run.under_load()

    run.send(signal.SIGKILL)

    assert eventually(lambda: not run.processes(), AT_ONCE_S), run.processes()
    assert sysctls() == run.before
    made = run.report()
    assert made.returncode == 0, made.stderr
    assert "trials: none" in made.stdout
    assert run.start().end() == 0, run.output
    assert run.left() == {}


def kill_player(run: Run) -> None:
    """Kill the run's ansible-playbook."""
    assert run.process is not None
    player = next(pid for pid, (_, parent) in run.processes().items() if parent == run.process.pid)
    os.kill(player, signal.SIGKILL)


@pytest.mark.matrix
def test_trials_that_a_killed_ansible_playbook_was_to_bring_home_are_run_once_more(run: Run) -> None:
    run.start("--set", "window_s=3")
    assert run.under_load()

    kill_player(run)

    assert run.end() == 0, run.output
    assert [(o["status"], o["kind"]) for o in run.outcomes()] == [("failed", "infra")] * 2 + [("complete", None)] * 2
    assert "ansible-playbook was killed" in run.outcomes()[0]["reason"]
    assert "running 2 of the trials of block 1 again: 2 infra" in run.output
    assert run.left() == {}


@pytest.mark.matrix
def test_a_block_of_which_nothing_comes_home_twice_ends_the_run_which_can_go_on(run: Run) -> None:
    run.start("--set", "window_s=30")
    assert run.under_load()
    kill_player(run)
    assert run.under_load(3)

    kill_player(run)

    assert run.end() == 4, run.output
    assert "error: no trial of block 1 was run: did not come home: ansible-playbook was killed" in run.output
    assert run.state() == "interrupted"
    assert run.report().returncode == 0
    assert run.left() == {}


@pytest.mark.matrix
def test_trials_that_a_killed_block_process_did_not_come_to_are_run_once_more(run: Run) -> None:
    run.start("--set", "window_s=3")
    assert run.under_load(2)
    block = json.loads(next(run.work.glob("*/lock")).read_text())["pid"]

    os.kill(block, signal.SIGKILL)

    assert run.end() == 0, run.output
    assert [o["status"] for o in run.outcomes()] == ["complete", "failed", "complete"]
    assert "the block ended without it" in run.outcomes()[1]["reason"]
    assert run.left() == {}


def test_a_journal_that_nobody_undid_is_undone_by_the_next_run(run: Run) -> None:
    """Runner and block process end at the same moment, as when the power fails, but for the kernel's memory."""
    run.start("--set", "window_s=30", "--set", "isolation=host", "--set", "somaxconn=77")
    assert run.under_load()
    assert sysctls() != run.before, "without a network namespace the sysctl is the host's"
    assert run.process is not None
    block = json.loads(next(run.work.glob("*/lock")).read_text())["pid"]
    os.kill(block, signal.SIGSTOP)  # so that it notices nothing
    run.send(signal.SIGKILL)
    os.kill(block, signal.SIGKILL)
    run.process.communicate()
    assert sysctls() != run.before
    before = run.before

    assert run.start().end() == 0, run.output

    assert sysctls() == before
    run.before = before
    assert run.left() == {}


@pytest.fixture(scope="module")
def killed(rig: Rig) -> dict[int, Outcome]:
    """Run one block in which something of each trial but the last is killed under load."""
    directory = rig.write("killed", [rig.trial(n, window_s=4.0, clients=20) for n in (1, 2, 3, 4)])
    rig.start(directory)
    found = {}
    for number, name in ((1, "httpd"), (2, "h2load"), (3, "sampler")):
        rows = directory / f"{number:03d}" / "load" / "rows.log"
        assert eventually(lambda rows=rows: rows.exists() and rows.stat().st_size)  # type: ignore[misc]  # a default has no type
        os.kill(_victim(directory, name), signal.SIGKILL)
        found[number] = rig.outcome(directory, number)
    return {**found, 4: rig.outcome(directory, 4)}


def _victim(directory: Path, name: str) -> int:
    own = processes(str(directory))
    if name == "httpd":
        return next(pid for pid, (its, parent) in own.items() if its == name and own[parent][0] != name)
    if name == "h2load":
        return named(str(directory), name)[0]
    # Block process, keeper, first process, sampler: each is the child of the one before.
    helpers = {pid for pid, (its, _) in own.items() if its.startswith("python")}
    return next(pid for pid in helpers if pid not in {parent for _, parent in own.values()})


@pytest.mark.parametrize(
    ("number", "kind", "want"),
    [
        pytest.param(1, "sut", "httpd ended with -9", id="httpd"),
        pytest.param(2, "client", "h2load exited with -9", id="h2load"),
    ],
)
def test_a_trial_whose_program_is_killed_is_failed_with_the_reason(
    killed: dict[int, Outcome], number: int, kind: str, want: str
) -> None:
    result = killed[number].result

    assert (result["ended"], result["kind"]) == ("failed", kind)
    assert want in result["reason"]


def test_a_trial_whose_sampler_is_killed_is_complete_without_its_instruments(killed: dict[int, Outcome]) -> None:
    result = killed[3].result

    assert result["ended"] == "complete"
    for name in ("listen_queue", "worker_states", "cgid_daemon", "host"):
        assert result["instruments"][name]["state"] == "unavailable"
        assert "the sampler ended" in result["instruments"][name]["reason"]


def test_a_block_goes_on_after_trials_in_which_something_was_killed(killed: dict[int, Outcome]) -> None:
    assert killed[4].result["ended"] == "complete"
    assert {i["state"] for n, i in killed[4].result["instruments"].items() if n in {"listen_queue", "host"}} == {"ran"}


# The host does not allow it.


def test_a_host_without_namespaces_says_so_and_host_isolation_works_there(rig: Rig) -> None:
    rig.prefix = ["setpriv", "--bounding-set=-sys_admin"]
    try:
        outcomes = rig.run("caged", [rig.trial(1), rig.trial(2, isolation="host", somaxconn=77, listen_backlog=100)])
    finally:
        rig.prefix = []

    refused, done = outcomes[1].result, outcomes[2]
    assert (refused["ended"], refused["kind"]) == ("failed", "infra")
    assert "this host allows no namespaces" in refused["reason"]
    assert "--set isolation=host" in refused["reason"]
    assert done.result["ended"] == "complete", done.result["reason"]
    assert done.checks()["somaxconn"] == ("77", "77")
    assert done.checks()["queue_limit"] == ("77", "77")


def test_host_isolation_takes_another_port_where_its_own_is_taken(rig: Rig) -> None:
    before = sysctls()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = rig.run("port", [{**rig.trial(1, isolation="host"), "port": port}])[1]

    assert outcome.result["ended"] == "complete", outcome.result["reason"]
    found = re.search(rb"^Listen 127\.0\.0\.1:(\d+)$", outcome.files["httpd.conf"], re.MULTILINE)
    assert found is not None
    assert int(found[1]) != port
    assert sysctls() == before


def test_a_cgi_that_answers_500_makes_the_trial_invalid_with_httpds_own_words(rig: Rig) -> None:
    outcome = rig.run("five-hundred", [rig.trial(1, conf="RLimitMEM 4096 4096\n")])[1]

    assert (outcome.result["ended"], outcome.result["kind"]) == ("invalid", "treatment")
    assert "cgi_status: want 200, found 500" in outcome.result["reason"]
    assert "End of script output before headers" in outcome.result["reason"]


# What `httpd -t` takes, and a server cannot have.
ELSEWHERE, NOT_HERE = "Listen 192.0.2.1:80", "could not bind to address 192.0.2.1:80"


def test_a_httpd_that_does_not_start_ends_the_run_with_its_own_message(run: Run) -> None:
    run.start("--set", f"extra_directives={ELSEWHERE}")

    assert run.end() == 4, run.output
    assert [(o["status"], o["kind"]) for o in run.outcomes()] == [("failed", "sut")] * 2
    assert all(NOT_HERE in o["reason"] for o in run.outcomes())
    assert NOT_HERE in json.loads((run.directory / "summary.json").read_text())["verdict"]["text"]
    assert run.left() == {}


@pytest.mark.parametrize(
    ("words", "trials", "said"),
    [
        (("--fail-fast",), 1, "stopped at the first trial that is failed (--fail-fast)"),
        ((), failures.SAME_IN_A_ROW, f"stopped after {failures.SAME_IN_A_ROW} trials in a row"),
    ],
    ids=["--fail-fast", "the same again and again"],
)
def test_failures_end_a_run_that_has_more_to_do(run: Run, words: tuple[str, ...], trials: int, said: str) -> None:
    experiment = EXPERIMENT.replace("repetitions: 1", "repetitions: 6")
    run.start("--set", f"extra_directives={ELSEWHERE}", *words, experiment=experiment)

    assert run.end() == 4, run.output
    assert f"error: {said}" in run.output
    assert NOT_HERE in run.output
    assert "--resume" in run.output
    assert trials <= len(run.outcomes()) <= trials + 1, "the next one has begun when a trial comes home"
    assert {o["status"] for o in run.outcomes()} == {"failed"}
    assert run.left() == {}


def test_a_source_that_is_nowhere_is_named_before_any_trial(run: Run) -> None:
    run.start("--set", "httpd=distro:9.9.9", prefix=("unshare", "--net"))

    assert run.end() == 3, run.output
    assert "9.9.9" in run.output
    assert run.output.count("error:") == 1, run.output
    assert not list(run.directory.glob("trials/*"))
    assert run.left() == {}


# The disk is full.


def test_results_that_do_not_fit_end_the_run_with_one_error(run: Run, small_disk: Callable[..., Path]) -> None:
    results = small_disk("small", "200k")
    run.start("--results", str(results))

    assert run.end() in {1, 3}, run.output
    errors = re.findall(r"^error: .*", run.output, re.MULTILINE)
    assert len(errors) == 1, run.output
    assert "No space left on device" in run.output
    assert run.left() == {}


@pytest.mark.matrix
def test_results_that_fill_up_under_load_end_the_run_long_before_it_is_given_up(
    run: Run, small_disk: Callable[..., Path]
) -> None:
    results = small_disk("results", "32m")
    run.start()
    assert run.under_load()
    with suppress(OSError), (results / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    assert run.end() == 1, run.output
    # Whoever notices first says so: Ansible's words, a trial's files, or the look at the disk.
    assert re.search(r"^error: cannot .*: No space left on device", run.output, re.MULTILINE), run.output
    assert "nothing was heard" not in run.output

    (results / "filler").unlink()
    assert run.start("--resume", run.directory.name).end() == 0, run.output
    assert [o["status"] for o in run.outcomes()] == ["complete"] * 2
    assert run.left() == {}


@pytest.mark.matrix
def test_a_host_whose_disk_is_full_fails_its_trials_and_is_left_clean(
    run: Run, small_disk: Callable[..., Path]
) -> None:
    small_disk("work", "150k")
    run.start("--set", "window_s=2")

    assert run.end() == 4, run.output
    assert (run.outcomes()[-1]["status"], run.outcomes()[-1]["kind"]) == ("failed", "infra")
    assert "No space left on device" in run.outcomes()[-1]["reason"]
    assert run.left() == {}


# Two at once.


def test_a_second_run_is_refused_with_who_has_the_target(run: Run, tmp_path: Path, repo_root: Path) -> None:
    run.start()
    assert eventually(lambda: list((run.place / "results").glob("faults/latest")))
    assert run.process is not None
    second = Run(tmp_path, repo_root)

    assert second.start().end() == 3, second.output

    assert f"error: another run has this target: process {run.process.pid} " in second.output
    assert len(list((tmp_path / "results" / "faults").iterdir())) == 2, "no run directory beside the first and latest"
    run.send(signal.SIGINT)
    assert run.end() == 130


# Text that wants to be code.


def test_hostile_text_is_inert_everywhere(run: Run) -> None:
    canary = run.place / "canary"
    touch = f"touch {canary}"
    hostile = (
        f"# {{{{ lookup('pipe','{touch}') }}}} {{% if true %}}x{{% endif %}} $({touch}) `{touch}` ; {touch} </script>"
    )
    question = json.dumps(f"{hostile} Does it?")
    run.start(
        *("--set", f"extra_directives={hostile}"),
        experiment=EXPERIMENT.replace("Does what breaks leave anything behind?", question),
    )

    assert run.end() == 0, run.output
    assert not canary.exists()
    for conf in run.directory.glob("trials/*/httpd.conf"):
        assert hostile in conf.read_text().splitlines()
    page = (run.directory / "report.html").read_text()
    assert f"{touch} </script>" not in page
    assert len(list(csv.DictReader((run.directory / "trials.csv").open()))) == 2
    assert run.left() == {}
