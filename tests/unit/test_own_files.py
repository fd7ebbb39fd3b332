"""Scripts and requests of the user's: named with their content, refused where they cannot work, never a directory's."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgidlab import cli
from cgidlab.compare import Recorded, differing
from cgidlab.compare.fields import Verb
from cgidlab.engine import execute, resuming, sending
from cgidlab.engine.loading import Loaded, Request, load_plan
from cgidlab.errors import SpecError
from cgidlab.parsers.host_report import FileThere, GeneratorReport, HostReport
from cgidlab.runs import ending, store
from tests.unit.run_directories import ROOT

FILE = """\
schema_version: 1
name: own
question: Is a script of mine served?
factors: {{{factors}}}
settings: {{{settings}}}
load: {{{load}}}
repetitions: 2
noise: ignore
"""
SCRIPT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nmine\\n'\n"
OWN = 'script: "path:mine.cgi"'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.cgi").write_text(SCRIPT)
    (tmp_path / "mix.requests").write_text("3 /cgi-bin/mine.cgi?a=1\n1 /cgi-bin/mine.cgi\n")
    return tmp_path


def loaded(
    place: Path, settings: str = OWN, *, factors: str = "clients: [10, 20]", load: str = "loop: closed"
) -> Loaded:
    path = place / "own.yml"
    path.write_text(FILE.format(factors=factors, settings=settings, load=load))
    return load_plan(Request(path, ROOT))


def test_a_plan_names_the_script_and_the_list_with_their_checksums(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = loaded(place, load="loop: closed, requests: mix.requests")

    script, requests = found.site.own
    assert script.data == SCRIPT.encode()
    assert (requests.first, requests.file) == (requests.data.decode().splitlines()[0], "requests")
    assert cli.main(["plan", str(place / "own.yml")]) == 0
    printed = capsys.readouterr().out
    assert f"path:mine.cgi with sha256 {script.sha256}" in printed
    assert f"mix.requests with sha256 {requests.sha256}" in printed
    assert "2 different requests by their weights" in printed
    assert {cell.settings["driver"] for cell in found.plan.cells} == {"steady"}


def test_levels_of_a_factor_may_be_several_scripts(place: Path) -> None:
    (place / "b.cgi").write_text(SCRIPT + "# another\n")

    found = loaded(place, "", factors='script: [hello, "path:mine.cgi", "path:b.cgi"]')

    assert [one.file for one in found.site.own] == ["mine.cgi", "b.cgi"]
    assert [cell.settings["script"] for cell in found.plan.cells] == ["hello", "path:mine.cgi", "path:b.cgi"]


def made_wrong(place: Path, how: str) -> None:
    path = place / "mine.cgi"
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    elif how == "large":
        with path.open("wb") as file:
            file.truncate(17 << 20)
    elif how != "gone":
        path.write_text(how)


@pytest.mark.parametrize(
    ("how", "what", "fix"),
    [
        ("gone", "No such file", "relative to the experiment file"),
        ("pipe", "no plain file", ""),
        ("directory", "Is a directory", ""),
        ("large", "more than 16,777,216 bytes", ""),
        ("#!/usr/bin/perl\r\nprint 1;\r\n", "carriage return", "sed -i"),
        ("#!\n", "names no interpreter", "#!/usr/bin/perl"),
        ("print 'hello'\n", "is no program", "#!/usr/bin/perl"),
    ],
)
def test_a_script_that_cannot_run_is_refused_at_its_line(place: Path, how: str, what: str, fix: str) -> None:
    made_wrong(place, how)

    with pytest.raises(SpecError, match=what) as refused:
        loaded(place)

    assert "own.yml, line 5, settings.script" in refused.value.where
    assert fix in refused.value.fix


@pytest.mark.parametrize(
    ("settings", "factors", "load", "what", "fix"),
    [
        (f"{OWN}, handler: php_fpm", "clients: [1]", "", "php_fpm runs no CGI script", "cgid, cgi, fcgid or fcgiwrap"),
        (
            f"{OWN}, handler: gunicorn",
            "clients: [1]",
            "",
            "gunicorn runs no CGI script",
            "cgid, cgi, fcgid or fcgiwrap",
        ),
        (OWN, "clients: [1]", "driver: ab, requests: mix.requests", "ab asks for one path", "steady or wrk"),
        (OWN, "clients: [1]", "driver: h2load, requests: mix.requests", "begin with the first path", "steady or wrk"),
        (
            OWN,
            "rate: [100]",
            "loop: open, driver: h2load, requests: mix.requests",
            "begin with the first path",
            "steady or wrk",
        ),
        ("script: static", "clients: [1]", "requests: mix.requests", "`script: static` is none", "remove one"),
        ("script: hello", "clients: [1]", "requests: mix.requests", "no script `mine.cgi`", "hello"),
        ("", 'script: [hello, "path:mine.cgi"]', "requests: mix.requests", "`script` is a factor", "keep one"),
        ('script: "path:a b.cgi"', "clients: [1]", "", "is not fit for a script's name", "letters, digits"),
        ("script: helo", "clients: [1]", "", "does not take `helo`", "hello"),
    ],
)
def test_what_cannot_be_done_with_a_file_is_refused_before_anything_runs(
    place: Path, settings: str, factors: str, load: str, what: str, fix: str
) -> None:
    with pytest.raises(SpecError, match=what) as refused:
        loaded(place, settings, factors=factors, load=load)

    assert fix in refused.value.fix


def test_a_misplaced_or_misspelt_key_is_answered_with_its_place(place: Path) -> None:
    path = place / "own.yml"
    path.write_text(FILE.format(factors="clients: [1]", settings=OWN, load="") + "requests: mix.requests\n")
    with pytest.raises(SpecError) as refused:
        load_plan(Request(path, ROOT))
    assert refused.value.fix.startswith("`requests` is an option")

    with pytest.raises(SpecError) as refused:
        loaded(place, load="access_log: mix.requests")
    assert "`requests`" in refused.value.fix


def test_changed_content_is_noticed_by_all_three_that_compare(place: Path) -> None:
    before = Recorded(store.plan_json(loaded(place).plan), {})
    (place / "mine.cgi").write_text(SCRIPT + "# changed\n")
    now = Recorded(store.plan_json(loaded(place).plan), {})

    for verb in Verb:
        (found,) = (d for d in differing.between(before, now, verb) if d.field == "files")
        assert found.decides, verb
    assert "path:mine.cgi" in str(found)
    assert any(d.field == "files" and d.decides for d in differing.overall(before, now, []))


def begun(place: Path) -> store.RunDirectory:
    run = store.create(place / "results", loaded(place).plan, "a")
    run.set_state(store.INTERRUPTED)
    return run


def test_a_run_goes_on_with_the_script_of_the_file_that_is_named_and_only_if_it_is_the_same(place: Path) -> None:
    run = begun(place)
    request = Request(place / "own.yml", ROOT)

    assert resuming.load(run, ROOT, request).differences == ()
    (place / "mine.cgi").write_text(SCRIPT + "# changed\n")
    continued = resuming.load(run, ROOT, request)

    assert continued.loaded.site.own[0].data.endswith(b"# changed\n")
    with pytest.raises(SpecError, match=r"the content of path:mine.cgi changed"):
        resuming.refuse(continued, continued.differences, [])
    resuming.refuse(continued, continued.differences, ["files"])


def test_the_script_that_a_directory_names_is_not_taken_on_its_own_word(place: Path) -> None:
    run = begun(place)
    plan: dict[str, Any] = run.read("plan.json")
    plan["settings"]["script"] = "path:/etc/passwd"
    del plan["files"]
    for cell in plan["cells"]:
        cell["settings"]["script"] = "path:/etc/passwd"
    run.write("plan.json", plan)

    with pytest.raises(SpecError, match="taken from an experiment file alone"):
        resuming.load(run, ROOT, None)
    with pytest.raises(SpecError, match="names no such file"):
        resuming.load(run, ROOT, Request(place / "own.yml", ROOT))


HOST = HostReport(
    "local",
    "/python",
    become=False,
    work_dir="/w",
    helper="/h",
    httpd={},
    scripts_dir="/s",
    tools={},
    raw={},
    scripts={"hello": FileThere("/s/hello", "1" * 64)},
)


def test_a_trial_is_told_what_lies_where_and_what_it_has_to_hold(place: Path) -> None:
    found = loaded(place, load="loop: closed, requests: mix.requests")
    own = found.site.own
    there = {one.name: FileThere(f"/c/own/{one.sha256[:16]}/{one.file}", one.sha256) for one in own}
    host = replace(HOST, scripts=there, requests=there)
    settings = found.plan.cells[0].settings

    served, asked = sending.served(settings, own, host), sending.asked(settings, own, host)

    assert served["scripts_dir"] == f"/c/own/{own[0].sha256[:16]}"
    assert served["script"] == {"file": "mine.cgi", "sha256": own[0].sha256}
    assert asked["url_path"].startswith("/cgi-bin/mine.cgi")
    assert asked["requests"] == {"path": there["mix.requests"].path, "sha256": own[1].sha256}
    assert sending.served({**settings, "script": "hello"}, own, HOST)["script"]["sha256"] == "1" * 64
    assert sending.served({**settings, "script": "hello", "handler": "php_fpm"}, own, HOST)["script"] is None


def test_a_generator_has_the_list_and_is_told_what_is_asked_for(place: Path) -> None:
    found = loaded(place, load="loop: closed, requests: mix.requests")
    requests = next(one for one in found.site.own if one.kind == "requests")
    there = FileThere("/g/own/requests", requests.sha256)
    generator = GeneratorReport("g1", "/python", False, "/w", "/h", {}, "10.0.0.2", {}, {requests.name: there})  # noqa: FBT003 -- a row
    block = execute.BlockNeeds(Path(), HOST, "/w/run-1", (generator,), found.site.own)

    told = execute._generator_json(block, found.plan.blocks[0], found.catalogue, 0)["trials"][0]  # noqa: SLF001 -- what it is sent

    assert told["requests"] == {"path": "/g/own/requests", "sha256": requests.sha256}
    assert told["url_path"] == requests.first


HOOKS = "hooks:\n  before_trial: \"path:hook.sh\"\n  during_window: [perf, record, -p, '{pids}']\n"


def with_hooks(place: Path, text: str = HOOKS) -> Loaded:
    (place / "hook.sh").write_text("#!/bin/sh\n")
    path = place / "own.yml"
    path.write_text(FILE.format(factors="clients: [10, 20]", settings=OWN, load="") + text)
    return load_plan(Request(path, ROOT))


def test_hooks_are_named_before_anything_runs_and_sent_to_watched_trials_as_commands(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = with_hooks(place)
    hook = next(one for one in found.site.own if one.kind == "hook")
    host = replace(HOST, scripts={hook.name: FileThere("/c/own/x/hook.sh", hook.sha256)})

    assert cli.main(["plan", str(place / "own.yml")]) == 0
    printed = capsys.readouterr().out
    assert f"path:hook.sh with sha256 {hook.sha256}" in printed
    assert "before_trial path:hook.sh; during_window perf record -p {pids}" in printed
    assert sending.hooked(found.plan.experiment.hooks, found.site.own, host) == {
        "before_trial": ["/c/own/x/hook.sh"],
        "during_window": ["perf", "record", "-p", "{pids}"],
    }
    names = [one["name"] for one in sending.variables(found.site.own, place / "sent")["cgidlab_own_scripts"]]
    assert names == ["path:mine.cgi", "path:hook.sh"]
    assert (place / "sent" / hook.sha256).read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize(
    ("text", "what", "where", "fix"),
    [
        ("hooks: {during: x}\n", "unknown key `during`", "line 9", "`during_window`"),
        ("hooks: {after_trail: x}\n", "unknown key `after_trail`", "line 9", "`after_trial`"),
        ("hook: {after_trial: x}\n", "unknown key `hook`", "line 9", "`hooks`"),
        ("hooks: {after_trial: []}\n", "is no command", "line 9, hooks.after_trial", "perf, record"),
        ('hooks: {after_trial: "perf record -a"}\n', "no shell reads it", "line 9, hooks.after_trial", "as a list"),
        ("hooks: {after_trial: [bin/x]}\n", "neither a name nor an absolute path", "line 9", '"path:bin/x"'),
        ('hooks: {after_trial: "path:gone.sh"}\n', "No such file", "line 9, hooks.after_trial", "relative"),
    ],
)
def test_a_wrong_hook_is_refused_at_its_line(place: Path, text: str, what: str, where: str, fix: str) -> None:
    with pytest.raises(SpecError) as refused:
        with_hooks(place, text)

    assert what in refused.value.what
    assert where in refused.value.where
    assert fix in refused.value.fix


def test_hooks_beside_a_search_are_refused_since_few_of_its_trials_are_watched(place: Path) -> None:
    path = place / "own.yml"
    text = FILE.format(factors="", settings=OWN, load="").replace("repetitions: 2\n", "")
    path.write_text(text + "search: {factor: clients, from: 1, to: 9, most: {errors: 0}}\nhooks: {after_trial: x}\n")

    with pytest.raises(SpecError, match="`hooks` means nothing beside `search:`"):
        load_plan(Request(path, ROOT))


def test_the_hooks_that_a_directory_names_are_not_taken_on_its_own_word(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(place / "results", with_hooks(place).plan, "a")
    run.set_state(store.INTERRUPTED)
    plan: dict[str, Any] = run.read("plan.json")
    plan["hooks"] = {"before_trial": ["sh", "-c", "touch /tmp/canary"]}
    run.write("plan.json", plan)

    with pytest.raises(SpecError, match="taken from an experiment file alone") as refused:
        resuming.load(run, ROOT, None)
    assert refused.value.fix == f"name it: {ending.go_on(run)}"
    assert "run EXPERIMENT.yml --resume " in ending.go_on(run), "where the file lay is not known"
    monkeypatch.chdir(place)
    (place / "experiments").symlink_to(place)
    assert "run experiments/own.yml --resume " in ending.go_on(run)
    continued = resuming.load(run, ROOT, Request(place / "own.yml", ROOT))

    assert dict(continued.loaded.plan.experiment.hooks)["before_trial"] == ("path:hook.sh",)
    with pytest.raises(SpecError, match="the hooks"):
        resuming.refuse(continued, continued.differences, [])
