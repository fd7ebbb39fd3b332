"""A wrong word is answered with what was meant, and never with a word that only looks like it."""

from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.design import catalogue, hints
from cgidlab.design.specform import FileForm

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "experiments" / "smoke.yml"


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("backlog", "use `listen_backlog`"),
        ("ListenBackLog", "use `tcp_backlog`"),
        ("DEFAULT_CGID_LISTENBACKLOG", "use `listen_backlog`"),
        ("duration", "use `window_s`"),
        ("connections", "use `clients`"),
        ("concurrency", "use `clients`"),
        ("MaxRequestWorkers", "use `workers`"),
        ("net.core.somaxconn", "use `somaxconn`"),
        ("KeepAlive", "use `keep_alive`"),
        ("NoSuchDirective", 'use `extra_directives: "NoSuchDirective VALUE"`'),
        ("repetitions", "`repetitions` is a key of the file and no option"),
        ("runs", "`repetitions` is a key of the file and no option"),
        ("tcp_backlg", "use `tcp_backlog`"),
        ("frobnicate", "runner.py options"),
    ],
)
@pytest.mark.parametrize("form", ["--set", "factors", "settings"])
def test_an_option_that_does_not_exist_is_answered_by_what_was_meant(
    word: str, want: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = SMOKE
    if form != "--set":
        path = tmp_path / "own.yml"
        level = "[10, 20]" if form == "factors" else "10"
        path.write_text(SMOKE.read_text().replace(f"{form}:\n", f'{form}:\n  "{word}": {level}\n'))

    status = cli.main(["plan", str(path), *(["--set", f"{word}=10"] if form == "--set" else [])])

    assert status == 2
    assert want in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "want"),
    [
        ("runs", "use `repetitions`"),
        ("inventory", "use `target`"),
        ("clients", "`clients` is an option: write it below `settings:`"),
        ("concurrency", "`clients` is an option: write it below `settings:`"),
        ("duration", "use `window_s`"),
        ("window", "use `window_s`"),
        ("sttings", "use `settings`"),
        ("reruns", "write it below `noise:`"),
    ],
)
def test_a_key_that_does_not_exist_is_answered_by_where_it_belongs(
    key: str, want: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(f"{key}: 10\n{SMOKE.read_text()}")

    status = cli.main(["plan", str(path)])

    assert status == 2
    assert want in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["runn", str(SMOKE)], "use run"),
        (["statsu"], "use status"),
        (["smoke"], "smoke.yml"),
        ([str(SMOKE)[:-1]], f"use {SMOKE}"),
        (["nonsense"], "runner.py help"),
    ],
)
def test_a_verb_or_a_file_that_does_not_exist_is_answered_by_what_was_meant(
    words: list[str], want: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(words)

    assert status == 2
    assert want in capsys.readouterr().err


def test_every_key_of_the_file_has_its_other_names_and_no_name_stands_for_two() -> None:
    options = catalogue.load(ROOT / "roles").options
    names = [name.lower() for o in options.values() for name in (o.name, *o.also)]

    assert set(hints.FILE_KEYS) == set(FileForm.model_fields)
    assert len(names) == len(set(names))


def test_no_arguments_and_help_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words, want in (([], "VERB ..."), (["help"], "VERB ..."), (["help", "plan"], "--format")):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)

        assert ended.value.code == 0
        assert want in capsys.readouterr().out


def test_options_may_stand_before_a_verb_that_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["--set", "workers=7", str(SMOKE)])

    assert status == 2
    assert "not a multiple" in capsys.readouterr().err


def test_options_are_listed_and_found_by_what_they_are_called(capsys: pytest.CaptureFixture[str]) -> None:
    known = catalogue.load(ROOT / "roles").options

    cli.main(["options"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(known)
    cli.main(["options", "concurrency"])
    assert capsys.readouterr().out.startswith("clients: int; default 100")


def test_a_new_experiment_is_valid_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["new", "my-own", "--like", "mpm", "--directory", str(tmp_path)]

    assert cli.main(words) == 0
    assert cli.main(["validate", str(tmp_path / "my-own.yml")]) == 0
    assert cli.main(words) == 2
    assert "the file is there already" in capsys.readouterr().err
