"""Run directories that broke a reader once: each is reported, or refused by name, and nothing raises or waits."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cgidlab import cli, files, rundir
from cgidlab.engine import resuming
from cgidlab.runs import headroom, records, store
from tests.fuzz import rundir_changes, rundir_verbs, rundirs

ROOT = Path(__file__).parents[2]
RUN_A, RUN_B = "20261128T000000Z-aaaa", "20261129T000000Z-bbbb"
DEL = object()
NAN, INF = float("nan"), float("inf")
T1, T2, T3, T4 = (
    f"trials/{name}"
    for name in (
        "001-listen_backlog-5-b1",
        "002-listen_backlog-1024-b1",
        "003-listen_backlog-1024-b2",
        "004-listen_backlog-5-b2",
    )
)
Change = tuple[str, str, Any]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the kept run with figures of today, which no test has to measure again."""
    kept = tmp_path_factory.mktemp("kept") / "smoke" / RUN_A
    shutil.copytree(rundir_changes.KEPT, kept)
    records.load_all(store.open_run(kept))
    return kept


@pytest.fixture
def run(measured: Path, tmp_path: Path) -> Path:
    """Return the kept run, with a whole one beside it."""
    for name in (RUN_A, RUN_B):
        shutil.copytree(measured, tmp_path / "smoke" / name)
    return tmp_path / "smoke" / RUN_B


def change(run: Path, document: str, keys: str, value: object) -> None:
    """Change one value of a document, and make its checksums again, as whoever changes it on purpose would."""
    path = run / document
    whole = json.loads(path.read_bytes())
    place = whole
    *way, last = keys.split("/")
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    if value is DEL:
        place.pop(last)
    else:
        place[int(last) if isinstance(place, list) else last] = value
    whole.pop(files.SEAL, None)
    with contextlib.suppress(ValueError):
        whole[files.SEAL] = files.seal_of(whole)
    path.write_text(json.dumps(whole))
    rundir_changes.remake_sums(run)


def statuses(run: Path, *names: str) -> dict[str, object]:
    """Run reading verbs and return what each came to; nothing may raise."""
    with rundirs.limited():
        return {one.name: one.call() for one in rundir_verbs.readings(run) if one.name in names}


# Place in 0.1.0, what was changed, and the verbs that ended in a traceback.
ROWS: list[tuple[str, list[Change], str]] = [
    ("environments.py:87", [("provenance.json", "environments/local/fields", "/etc/passwd")], "resume"),
    ("ratios.py:98", [(f"{T4}/trial.json", "levels/listen_backlog", [[]])], "compare"),
    ("comparing.py:63", [("plan.json", "rule/smallest_effects", False)], "compare from it"),
    ("pairs.py:87", [(f"{T2}/trial.json", "host", {}), (f"{T3}/figures.json", "figures", -0.0)], "compare"),
    ("pairs.py:28", [(f"{T4}/figures.json", "figures/errors", "5")], "json"),
    (
        "resuming.py:210",
        [(f"{T4}/figures.json", "figures/requests", "5"), (f"{T3}/trial.json", "number", None)],
        "resume",
    ),
    ("store.py:115", [(f"{T3}/trial.json", "number", None)], "json"),
    ("ratios.py:109", [(f"{T3}/trial.json", "block", ""), (f"{T4}/readback.json", "checks/0/found", "x")], "compare"),
    ("targets.py:31", [("plan.json", "target", {"a": 1})], "resume"),
    ("environments.py:102", [("plan.json", "cells", 5e-324)], "resume"),
    ("pairs.py:30", [("journal.json", "held", False), (f"{T1}/figures.json", "figures/requests", "\ud800")], "compare"),
    ("judge.py:112", [("provenance.json", "calibration/hosts/local/witnesses/cgid_daemon", [[]])], "json"),
    ("snapshots.py:136", [("differences.json", "hosts/local/unknown", -INF)], "json"),
    ("proven.py:88", [("provenance.json", "calibration/hosts/local/httpd/distro", "../../../etc/passwd")], "md"),
    ("concluding.py:150", [(f"{T1}/trial.json", "settings/window_s", "=cmd|' /C calc'!A0")], "md"),
    ("concluding.py:151", [(f"{T2}/trial.json", "settings/warmup_s", [[]])], "json"),
    ("headroom.py:92", [(f"{T2}/trial.json", "settings", None)], "md"),
    (
        "judge.py:112 again",
        [("provenance.json", "calibration/hosts/local/witnesses/listen_queue/positive", [[]])],
        "md",
    ),
    ("concluding.py:151 again", [(f"{T4}/trial.json", "settings/warmup_s", "\ud800")], "json"),
    ("markdown.py:17", [(f"{T2}/figures.json", "generators", "x"), ("plan.json", "rule/reference", NAN)], "md"),
    (
        "analyse.py:67",
        [("summary.json", "verdict/cells/0/agree", "x"), (f"{T2}/trial.json", "block", {"": {}})],
        "json",
    ),
    ("pairs.py:80", [(f"{T4}/trial.json", "levels", {"": {}})], "md"),
    ("headroom.py:96", [(f"{T3}/figures.json", "figures/throughput_rps", "=cmd|' /C calc'!A0")], "json"),
    ("judge.py:51", [(f"{T1}/trial.json", "levels/listen_backlog", DEL)], "md"),
    ("power.py:35", [(f"{T1}/figures.json", "figures/connect_wait_per_request_ms", 1e308)], "json"),
    ("pairs.py:55", [("plan.json", "factors/listen_backlog/1/label", [[]])], "md"),
    ("history.py:123", [("summary.json", "effects/0/answer", "x")], "history text"),
    ("history.py (a page's charts)", [("summary.json", "effects/0/estimate", -1.5)], "history text"),
    ("files.py:101", [(f"{T1}/trial.json", "host", False), (f"{T4}/figures.json", "started_s", -INF)], "html"),
    ("page.py:160", [(f"{T2}/trial.json", "levels/listen_backlog", True), (f"{T3}/trial.json", "number", DEL)], "html"),
]


@pytest.mark.parametrize(("changes", "verb"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_values_that_nobody_writes_are_left_out_by_name(
    run: Path, changes: list[Change], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for document, keys, value in changes:
        change(run, document, keys, value)

    came_to = statuses(run, verb)[verb]

    said = capsys.readouterr()
    assert came_to in (0, 1, 2) or isinstance(came_to, str)
    if verb in {"html", "md", "json"} and not all("figures.json" in document for document, _, _ in changes):
        assert came_to == 1
        assert "left out: " in said.err or said.err.startswith("error: ")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def a_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(rundir.MAX_READ_BYTES + 1)


def deep(path: Path) -> None:
    path.write_bytes(b'{"a":' * 100_000)


KINDS: list[Callable[[Path], None]] = [fifo, directory, to_zero, to_itself, a_socket, large, deep]
DOCUMENTS = [
    "state.json",
    "provenance.json",
    "plan.json",
    f"{T1}/outcome.json",
    f"{T1}/result.json",
    f"{T1}/SHA256SUMS",
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_no_plain_document_costs_what_it_held_and_is_named(
    run: Path, name: str, kind: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).unlink()
    kind(run / name)

    assert statuses(run, "json") == {"json": 1}

    said = capsys.readouterr()
    assert Path(name).name in said.err or Path(name).parent.name in said.err
    assert len(json.loads(said.out)["trials"]) == (3 if name.startswith(T1) else 4)


@pytest.mark.parametrize("kind", [fifo, to_zero, directory, a_socket], ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", ["logs/error_log", "logs/access_log", "load/rows.log", "instruments/listen_queue.csv"])
def test_a_raw_file_that_is_none_is_damage_of_its_trial(
    run: Path, name: str, kind: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (run / T2 / name).unlink()
    kind(run / T2 / name)

    assert statuses(run, "md", "status") == {"md": 1, "status": 0}

    assert f"{T2}/{name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["summary.json", "trials.csv", "trials.parquet", "generators.csv", "report.html"])
def test_a_directory_in_the_place_of_what_is_derived_is_an_error_that_names_it(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()

    assert statuses(run, "html", "md", "output")["md"] == 0

    assert name in capsys.readouterr().err


@pytest.mark.parametrize("listed", ["/dev/zero", "../../../../../../../dev/zero", "x/../../a", "nothing", "x\0y"])
def test_a_list_of_checksums_leads_nowhere(run: Path, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with (run / T1 / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  {listed}\n")

    assert statuses(run, "md") == {"md": 1}
    assert T1 in capsys.readouterr().err


STATES: list[tuple[str, object]] = [
    ("pid", "x"),
    ("pid", DEL),
    ("budget", "x"),
    ("expected_trials", "x"),
    ("lost", "x"),
    ("state", DEL),
    ("started_ticks", NAN),
]


@pytest.mark.parametrize(("key", "value"), STATES, ids=[f"{k}-{n}" for n, (k, _) in enumerate(STATES)])
def test_a_state_that_is_none_is_named_and_the_rest_is_reported(
    run: Path, key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads((run / "state.json").read_bytes())
    whole[key] = value
    (run / "state.json").write_text(json.dumps({k: v for k, v in whole.items() if k != files.SEAL and v is not DEL}))

    assert statuses(run, "json") == {"json": 0 if (key, value) == ("pid", DEL) else 1}
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 4

    statuses(run, "status", "status of all", "history text", "compare")


def test_trials_that_are_a_link_are_not_followed_and_nothing_is_written_there(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (run / "trials").rename(elsewhere)
    (elsewhere / "001-listen_backlog-5-b1" / "figures.json").unlink()
    (run / "trials").symlink_to(elsewhere)

    assert statuses(run, "html", "md") == {"html": 1, "md": 1}

    assert not (elsewhere / "001-listen_backlog-5-b1" / "figures.json").exists()
    assert str(run / "trials") in capsys.readouterr().err


def test_a_trial_that_is_a_link_or_a_file_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "trials" / "005-x-b3").symlink_to(run / T1)
    (run / "trials" / "006-x-b3").write_text("x")

    assert statuses(run, "md") == {"md": 1}

    said = capsys.readouterr().err
    assert "005-x-b3" in said
    assert "006-x-b3" in said


def test_columns_that_unpack_to_gigabytes_are_not_unpacked(run: Path) -> None:
    bomb = pl.DataFrame({n: pl.zeros(10_000_000, dtype=pl.Int64, eager=True) for n in ("start_us", "status")})
    bomb.write_parquet(run / T1 / "load" / "requests.parquet")
    (run / T1 / "figures.json").unlink()

    assert statuses(run, "json") == {"json": 0}


@pytest.mark.parametrize("measured_before", [True, False], ids=["with its figures", "without"])
@pytest.mark.parametrize(("keys", "value"), [("schema_version", 99), ("clock", None)], ids=["newer", "no clock"])
def test_a_result_that_has_its_checksum_and_is_none_costs_its_trial_alone(
    run: Path, keys: str, value: object, *, measured_before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, f"{T1}/result.json", keys, value)
    if not measured_before:
        (run / T1 / "figures.json").unlink()

    opened = store.open_run(run)
    found = resuming.standing(opened, store.experiment_of(opened))

    assert statuses(run, "html", "md", "json") == {"html": 1, "md": 1, "json": 1}
    assert f"{T1}/result.json" in capsys.readouterr().err
    assert json.loads((run / "summary.json").read_text())["trials"]["complete"] == 3
    assert [r.directory for r in found.done] == [T2, T3, T4]
    assert [str(d.relative_to(run)) for d, _ in found.undone] == [T1]


def test_a_trial_of_the_drivers_headroom_that_cannot_be_read_is_as_if_it_were_not_there(run: Path) -> None:
    kept = run / headroom.DIRECTORY / "local" / "trials"
    shutil.copytree(run / T1, kept / "901-x")
    opened = store.open_run(run)
    assert headroom.found(opened, "local")["h2load"]["throughput_rps"] > 0

    change(run, f"{headroom.DIRECTORY}/local/trials/901-x/result.json", "clock", None)
    (kept / "901-x" / "figures.json").unlink()

    assert headroom.found(opened, "local") == {}


def test_a_raw_file_that_has_its_checksum_and_cannot_be_read_costs_its_trial_alone(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures were measured by a program that could read it, or somebody changed it since, with its checksum."""
    for trial in (T1, T3):
        (run / trial / "instruments" / "listen_queue.csv").write_text("a stranger's\n")
    rundir_changes.remake_sums(run)

    assert statuses(run, "html") == {"html": 1}

    said = capsys.readouterr().err
    assert all(f"{trial}/instruments/listen_queue.csv" in said for trial in (T1, T3))
    assert json.loads((run / "summary.json").read_text())["trials"]["complete"] == 2


def test_names_that_are_no_text_are_spelt_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / T1).rename(run / "trials" / os.fsdecode(b"001-\xff\xfe"))

    assert statuses(run, "html", "md", "json") == {"html": 1, "md": 1, "json": 1}
    assert r"\udcff" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.json", "experiment.yml"])
@pytest.mark.parametrize(
    "kind", [*KINDS, Path.touch, lambda _path: None], ids=[*(k.__name__ for k in KINDS), "empty", "gone"]
)
def test_without_a_plan_the_rest_is_reported_from_the_trials(
    run: Path, name: str, kind: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).unlink()
    kind(run / name)

    assert cli.main(["report", str(run), "--format", "json"]) == 1

    said = capsys.readouterr()
    summary = json.loads(said.out)["summary"]
    assert name in said.err
    assert summary["trials"]["complete"] == 4
    assert name in [d["file"] for d in summary["damaged"]]
    assert len(summary["cells"]) == 2


def test_without_a_plan_there_is_a_page_that_says_what_it_lacks(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "plan.json").unlink()

    assert cli.main(["report", str(run)]) == 1

    assert "cannot be had: plan.json is damaged" in capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text())["trials"]["complete"] == 4
    assert (run / "report.html").stat().st_size


def test_an_outcome_that_is_gone_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / T3 / "outcome.json").unlink()

    assert statuses(run, "md") == {"md": 1}
    assert f"{T3}/outcome.json" in capsys.readouterr().err


def test_md_and_json_write_nothing_and_output_writes_elsewhere(run: Path, tmp_path: Path) -> None:
    (run / T1 / "figures.json").unlink()
    (run / "summary.json").unlink()
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}

    assert statuses(run, "md", "json", "output") == {"md": 0, "json": 0, "output": 0}

    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    derived = {p.name for p in (tmp_path / "derived").iterdir()}
    assert derived == {"summary.json", "trials.csv", "trials.parquet", "report.html"}


@pytest.fixture
def limited(run: Path) -> Path:
    """Return the trial of a run beside its own, in which things were held back, without its figures."""
    beside = run / "limits" / "local" / T2
    shutil.copytree(run / T2, beside)
    (beside / "figures.json").unlink()
    return beside


def test_nothing_is_written_beside_the_trials_either(run: Path, limited: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}

    assert statuses(run, "md", "json", "output", "compare") == {"md": 1, "json": 1, "output": 1, "compare": 0}

    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    assert not (limited / "figures.json").exists()


def test_what_was_changed_in_a_trial_beside_the_others_is_named(
    run: Path, limited: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (limited / "logs" / "access_log").open("a") as log:
        log.write("one more\n")

    assert statuses(run, "md") == {"md": 1}

    said = capsys.readouterr().err
    assert "does not have its checksum" in said
    assert f"limits/local/{T2}/logs/access_log" in said


_REPORTING = """
import sys
from cgidlab import cli
run, derived = sys.argv[1:]
for words in (["--format", "md"], ["--format", "json"], ["--output", derived]):
    assert cli.main(["report", run, *words]) == 0
sys.exit(cli.main(["report", run]))
"""


def test_a_directory_that_may_only_be_read_is_reported(run: Path, tmp_path: Path) -> None:
    """An archive, or another's home: root, who may write everywhere, is kept from it as everybody else is."""
    for path in (run, *(p for p in run.rglob("*") if p.is_dir())):
        path.chmod(0o555)
    caged = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

    ran = subprocess.run(
        [*caged, sys.executable, "-c", _REPORTING, run, tmp_path / "derived"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    for path in (run, *(p for p in run.rglob("*") if p.is_dir())):
        path.chmod(0o755)
    assert ran.returncode == 1
    assert ran.stderr.count("error: ") == 1, ran.stderr
    assert "error: the run's directory cannot be written" in ran.stderr
    assert {p.name for p in (tmp_path / "derived").iterdir()} >= {"summary.json", "report.html"}


@pytest.mark.parametrize("apart", [0, 1], ids=["levels", "blocks"])
@pytest.mark.parametrize("ends", [(0.0, 1e15), (1e-30, 1e15), (0.0, 0.0)], ids=str)
def test_figures_at_the_ends_of_what_may_be_read_are_compared(
    tmp_path: Path, ends: tuple[float, float], apart: int
) -> None:
    (kept,) = (p for p in rundir_changes.PACKED if p.name.startswith("reloaded"))
    with tarfile.open(kept) as tar:
        tar.extractall(tmp_path / "smoke" / RUN_B, filter="data")
    shutil.copytree(tmp_path / "smoke" / RUN_B, tmp_path / "smoke" / RUN_A)
    for path in (tmp_path / "smoke" / RUN_B).glob("trials/*/figures.json"):
        document = json.loads(path.read_bytes())
        end = ends[("1024" in path.parent.name) if apart == 0 else path.parent.name[-1] in "135"]
        document["figures"] = {
            n: type(v)(end) if isinstance(v, int | float) else v for n, v in document["figures"].items()
        }
        document.pop(files.SEAL)
        document[files.SEAL] = files.seal_of(document)
        path.write_text(json.dumps(document))

    came_to = statuses(tmp_path / "smoke" / RUN_B, "html", "md", "json", "compare", "history text")

    assert set(came_to.values()) <= {0, 1}


@pytest.mark.parametrize("name", ["1x-y", "0-", f"{'9' * 200}-x", "1234567890-x"])
def test_a_directory_among_trials_that_has_no_number_gives_none(run: Path, name: str) -> None:
    """`--blocks` numbers new trials beyond those that are there, and a name of 200 digits is too long for the next."""
    (run / "trials" / name).mkdir()

    assert statuses(run, "more blocks") == {"more blocks": 0}
    assert store.open_run(run).trial_numbers() == (1, 2, 3, 4)


def test_runs_of_every_kind_are_changed_at_random() -> None:
    names, plans = set(), []
    for kept in rundir_changes.PACKED:
        with tarfile.open(kept) as tar:
            found = {m.name: m for m in tar}
            plan = tar.extractfile(found["plan.json"]) if "plan.json" in found else None
            plans += [] if plan is None else [json.loads(plan.read())]
        names |= {Path(name).name for name in found}

    assert {"reloads.json", "interventions.json", "interventions.csv", "clocks.json", "server_memory.csv"} <= names
    assert {"observed.json", "observation.json", "listeners.json", "calibration.json"} <= names
    assert any(name.startswith("bisect-") for name in names)
    assert any(plan["search"] is not None for plan in plans)


def test_a_search_among_levels_that_are_no_numbers_is_a_damaged_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kept,) = (path for path in rundir_changes.PACKED if path.name.startswith("searched"))
    run = rundir_changes.unpacked(kept, tmp_path)
    path = run / "plan.json"
    document = json.loads(path.read_bytes())
    document["factors"][document["search"]["factor"]][0]["value"] = "a"
    document.pop(files.SEAL)
    document[files.SEAL] = files.seal_of(document)
    path.write_text(json.dumps(document))
    rundir_changes.remake_sums(run)

    assert cli.main(["report", str(run), "--format", "md"]) == 1
    assert "searches among levels that are no numbers" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(int(os.environ.get("CGIDLAB_FUZZ_DIRECTORIES", "4"))))
def test_no_directory_made_at_random_raises_or_hangs(tmp_path: Path, seed: int) -> None:
    assert rundirs.tried(tmp_path, (), f"unit-{seed}") == []


def taken(verb: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the spellings of each option of a verb, its help apart, and what may be chosen beside its default."""
    actions = dict(cli.verbs())[verb]._actions  # noqa: SLF001 -- argparse has no other way to ask for its options
    return [
        (tuple(action.option_strings), tuple(str(c) for c in action.choices or () if c != action.default))
        for action in actions
        if action.option_strings and action.dest != "help"
    ]


@pytest.mark.parametrize("verb", [name for name, _ in cli.verbs()])
def test_each_verb_that_reads_is_tried_on_changed_directories_with_each_option_or_it_is_said_why_not(
    verb: str,
) -> None:
    reasons = rundir_verbs.NOT_TRIED
    tried = [one for one in rundir_verbs.readings(Path("results/x/y")) if one.verb == verb]
    assert bool(tried) != (verb in reasons), (
        f"try what of `{verb}` reads, in tests/fuzz/rundir_verbs.py, or say why not"
    )
    options = {word for one in tried for word in one.options}

    for words, choices in taken(verb) if tried else ():
        why_not = any(f"{verb} {word}" in reasons or word in reasons for word in words)
        known = [f"{words[0]} {choice}" in options for choice in choices] or [any(w in options for w in words)]
        assert all(known) != why_not, f"`{verb} {words[0]}` is not tried, or it is and a reason says that it is not"


def test_what_is_not_tried_is_named_as_it_is_on_the_command_line() -> None:
    verbs = {name for name, _ in cli.verbs()}
    options = {(verb, word) for verb in verbs for words, _ in taken(verb) for word in words}
    known = verbs | {word for _, word in options} | {f"{verb} {word}" for verb, word in options}

    assert set(rundir_verbs.NOT_TRIED) <= known
