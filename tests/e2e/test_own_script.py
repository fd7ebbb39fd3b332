"""A script and requests of the user's, really run: who runs them, what is asked of them, what a broken one says."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cgidhost import process

from cgidlab.design import systems
from tests.e2e.cgidhost_rig import Outcome, Rig
from tests.reach import let_pass

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

PERF = shutil.which("perf") or ""

EXPERIMENT = """\
schema_version: 1
name: own
question: Is a script of mine served as I ask for it?
factors: {{{factors}}}
settings: {{{settings}, clients: 5, workers: 20, threads_per_child: 20}}
warmup_s: 0.3
window_s: 1.0
repetitions: 1
limits: off
noise: ignore
"""
# At "?tell" it says in the error log whose rights it has, and whether it could change itself for the next request.
SCRIPT = """\
#!/usr/bin/perl
print "Content-Type: text/plain\\r\\n\\r\\n";
print 'x' x ($ENV{QUERY_STRING} =~ /\\Asize=(\\d+)\\z/ ? $1 : 10);
if ($ENV{QUERY_STRING} eq 'tell') {
    my $own = open(my $file, '>>', $ENV{SCRIPT_FILENAME}) ? 'writes' : 'cannot write';
    print STDERR "told: uid $> $own cookie '$ENV{HTTP_COOKIE}' user '$ENV{REMOTE_USER}'\\n";
}
"""
LOG = """\
10.0.0.1 - anna [29/Nov/2026:10:00:00 +0000] "GET http://anna:x@w/cgi-bin/mine.pl?size=1000 HTTP/1.1" 200 1 - canary-a
10.0.0.1 - - [29/Nov/2026:10:00:01 +0000] "GET /cgi-bin/mine.pl?size=10 HTTP/1.1" 200 12
10.0.0.1 - - [29/Nov/2026:10:00:01 +0000] "GET /cgi-bin/mine.pl?size=10 HTTP/1.1" 200 12
10.0.0.1 - - [29/Nov/2026:10:00:02 +0000] "GET /cgi-bin/mine.pl?tell HTTP/1.1" 200 12
10.0.0.1 - - [29/Nov/2026:10:00:02 +0000] "POST /cgi-bin/mine.pl HTTP/1.1" 200 12
"""
HOOKS = """\
passes: 2
watch_every: 2
hooks:
  before_trial: [no-such-program-7c1f]
  during_window: ["path:hook.sh", "{pids}"]
  after_trial: [sh, -c, "id -u > uid; ls /proc/$CGIDLAB_HTTPD_PID/exe"]
"""
HOOK = """\
#!/bin/sh
trap 'echo ended >> told; exit 0' TERM
echo "$1 $CGIDLAB_DAEMON_PID $CGIDLAB_SET_CLIENTS" > told
cat /proc/$CGIDLAB_DAEMON_PID/comm >> told
while :; do sleep 0.05; done
"""
BROKEN = "#!/bin/sh\necho 'no module of that name: canary-7c1f' >&2\nexit 3\n"


@dataclass(frozen=True)
class Own:
    """A run, and what it printed."""

    status: int
    output: str
    run: Path

    def trial(self) -> Path:
        """Return its first trial."""
        return min((self.run / "trials").iterdir())

    def rows(self) -> list[dict[str, str]]:
        """Return its trials."""
        return list(csv.DictReader((self.run / "trials.csv").open()))


def run(root: Path, place: Path, settings: str, factors: str, *more: str) -> Own:
    (place / "mine.pl").write_text(SCRIPT)
    (place / "access_log").write_text(LOG)
    file = place / "own.yml"
    file.write_text(EXPERIMENT.format(settings=settings, factors=factors) + "".join(more))
    words = [str(file), "--results", str(place / "results"), "--uncalibrated"]
    ran = subprocess.run(
        [sys.executable, "runner.py", *words], check=False, cwd=root, capture_output=True, text=True, timeout=300
    )
    return Own(ran.returncode, ran.stdout + ran.stderr, place / "results" / "own" / "latest")


@pytest.fixture(scope="module")
def own(repo_root: Path, provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Own:
    """Run the user's script under the requests of an access log."""
    assert provisioned_host
    place = tmp_path_factory.mktemp("own")
    (place / "hook.sh").write_text(HOOK)
    settings = 'script: "path:mine.pl", requests: access_log'
    return run(repo_root, place, settings, "listen_backlog: [100]", HOOKS)


def test_the_script_is_asked_for_what_the_log_asks_for_as_often(own: Own) -> None:
    assert own.status == 0, own.output
    assert "1 not GET" in own.output
    lines = (own.trial() / "logs" / "access_log").read_text().splitlines()
    sizes = Counter(line.split()[3] for line in lines if line.split()[4] == "/cgi-bin/mine.pl")

    assert abs(sizes["1000"] - sizes["10"] / 3) <= 10  # what was out at the end
    (kept,) = (own.run / "requests").iterdir()
    assert kept.read_text().split() == [f"/cgi-bin/mine.pl?{q}" for q in ("size=1000", "size=10", "size=10", "tell")]


def test_it_has_the_servers_rights_and_nobody_but_the_owner_of_the_cache_can_change_it(own: Own) -> None:
    told = {
        line.partition("told: ")[2]
        for line in (own.trial() / "logs" / "error_log").read_text().splitlines()
        if "told: " in line
    }
    provenance = json.loads((own.run / "provenance.json").read_text())
    lies = provenance["hosts"]["local"]["scripts"]["path:mine.pl"]

    assert {line.partition(" cookie")[0] for line in told} == {"uid 65534 cannot write"}
    assert "user 'anna'" not in str(told)
    for path, mode in ((Path(lies["path"]), 0o755), (Path(lies["path"]).parent, 0o755)):
        about = path.stat()
        assert (about.st_uid, about.st_mode & 0o7777) == (os.geteuid(), mode)
    assert lies["interpreter"]["path"].startswith("/usr/bin/perl")


def test_what_is_served_is_proved_by_its_checksum(own: Own) -> None:
    checks = {c["name"]: c for c in json.loads((own.trial() / "readback.json").read_text())["checks"]}
    files = json.loads((own.run / "plan.json").read_text())["files"]

    assert checks["script"]["found"] == files["path:mine.pl"]
    assert checks["requests"]["found"] == files["access_log"]


def test_of_a_log_no_user_no_agent_and_no_host_is_kept(own: Own) -> None:
    words = (b"anna", b"canary-a", b"10.0.0.1")
    kept = [p for p in own.run.resolve().rglob("*") if p.is_file()]

    assert kept
    assert [(str(p), word) for p in kept for word in words if word in p.read_bytes()] == []


def test_hooks_run_beside_the_watched_trial_alone_and_see_its_server(own: Own) -> None:
    (watched,) = (row for row in own.rows() if row["watched"] == "yes")
    places = {row["watched"]: own.run / row["directory"] / "hooks" for row in own.rows()}
    pids, daemon, clients = places["yes"].joinpath("told").read_text().splitlines()[0].split()
    result = json.loads((places["yes"].parent / "result.json").read_text())

    assert (watched["status"], clients) == ("complete", "5")
    assert daemon in pids.split(",")
    assert (places["yes"] / "told").read_text().splitlines()[1:] == ["httpd", "ended"]
    assert (places["yes"] / "uid").read_text() == "0\n"
    assert result["hooks"]["during_window"]["exit_code"] == result["hooks"]["after_trial"]["exit_code"] == 0
    assert 0 < float(watched["hook_cpu_ms"]) < 1000
    assert not places["no"].exists()


def test_a_hook_that_is_not_there_is_a_note_and_its_trial_is_complete(own: Own) -> None:
    (watched,) = (row for row in own.rows() if row["watched"] == "yes")
    figures = (own.run / watched["directory"] / "figures.json").read_text()

    assert watched["status"] == "complete"
    assert "before_trial: it cannot be started" in figures
    assert "note: the hook before_trial of trial" in own.output


def documented_perf() -> list[str]:
    """Return the hook that the documents name."""
    text = (Path(__file__).parents[2] / "docs" / "experiment-format.md").read_text()
    words: list[str] = yaml.safe_load(re.findall(r"during_window: (\[perf .*\]|\[perf,.*\])", text)[0])
    return words


@pytest.fixture(scope="module")
def block(provisioned_host: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Outcome]:
    """Run short trials of a script with each handler that runs scripts, of a broken one, and of another's content."""
    rig = Rig(provisioned_host, tmp_path_factory.mktemp("blocks"))
    scripts = let_pass(tmp_path_factory.mktemp("scripts"))
    for name, text in (("mine.pl", SCRIPT), ("broken.sh", BROKEN)):
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    listed = scripts / "requests"
    listed.write_text("/cgi-bin/mine.pl?size=30\n" + "/cgi-bin/mine.pl?size=10\n" * 3)

    def trial(number: int, file: str, sha256: str | None = None, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 -- as the rig's
        made = rig.trial(
            number,
            scripts_dir=str(scripts),
            url_path=f"/cgi-bin/{file}",
            **{"warmup_s": 0.2, "window_s": 0.6, "clients": 5, "workers": 25, "connect_times": False, **settings},
        )
        return {**made, "script": {"file": file, "sha256": sha256 or process.sha256_of(str(scripts / file))}}

    asked = {"path": str(listed), "sha256": process.sha256_of(str(listed))}
    # perf takes a moment to begin, longer on a busy machine.
    beside = [{**trial(18, "mine.pl", window_s=3.0), "hooks": {"during_window": documented_perf()}}] if PERF else []
    return rig.run(
        "own",
        [
            *(trial(n, "mine.pl", handler=name) for n, name in enumerate(systems.RUNNING_SCRIPTS, start=1)),
            trial(14, "broken.sh"),
            trial(15, "mine.pl", "0" * 64),
            {**trial(16, "mine.pl", driver="wrk"), "requests": asked},
            {**trial(17, "mine.pl", driver="wrk"), "requests": {**asked, "sha256": "0" * 64}},
            *beside,
        ],
    )


@pytest.mark.parametrize("number", range(1, 1 + len(systems.RUNNING_SCRIPTS)))
def test_every_handler_that_runs_scripts_runs_the_users_and_it_is_proved(
    block: dict[int, Outcome], number: int
) -> None:
    want, found = block[number].checks()["script"]

    assert block[number].entry["ended"] == "complete", block[number].entry
    assert want == found


def test_a_script_that_fails_ends_its_trial_with_its_own_words(block: dict[int, Outcome]) -> None:
    entry = block[14].entry

    assert (entry["ended"], entry["kind"]) == ("invalid", "treatment")
    assert "cgi_status: want 200" in entry["reason"]
    assert "no module of that name: canary-7c1f" in entry["reason"]


@pytest.mark.skipif(not PERF, reason="perf is not installed; hooks themselves are tested with a script")
def test_perf_records_the_servers_processes_and_the_scripts_they_start(
    block: dict[int, Outcome], tmp_path: Path
) -> None:
    made = block[18]
    hook = made.result["hooks"]["during_window"]
    data = tmp_path / "perf.data"
    data.write_bytes(made.files["hooks/perf.data"])
    data.chmod(0o600)
    words = ["report", "-i", str(data), "--stdio", "--sort", "comm", "--no-children", "-g", "none"]
    told = subprocess.run([PERF, *words], check=True, capture_output=True, text=True).stdout

    assert made.entry["ended"] == "complete", made.entry
    assert (hook["argv"][0], hook["reason"]) == ("perf", "")
    assert hook["cpu_ns"] > 0, hook
    assert re.search(r"\d %? *httpd", told.replace("%", " ")), told
    assert "mine.pl" in told


@pytest.mark.parametrize(("number", "name"), [(15, "script"), (17, "requests")])
def test_another_content_than_the_ordered_one_is_no_trial(block: dict[int, Outcome], number: int, name: str) -> None:
    entry = block[number].entry

    assert entry["ended"] == "invalid"
    assert entry["reason"].startswith(f"{name}: want {'0' * 64}, found ")


def test_wrk_asks_for_a_list_as_well(block: dict[int, Outcome]) -> None:
    lines = block[16].files["logs/access_log"].decode().splitlines()
    sizes = Counter(line.split()[3] for line in lines if line.split()[4] == "/cgi-bin/mine.pl")

    assert block[16].entry["ended"] == "complete", block[16].entry
    assert sizes["30"] > 5
    assert abs(sizes["30"] - sizes["10"] / 3) <= 10  # what was out at the end
