"""Every command that a document shows works: in the one form, by the real parser, naming what is there."""

import contextlib
import importlib.util
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.errors import LabError
from cgidlab.starting import PROGRAM

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "docs/adr/*.md",
    "contrib/README.md",
    "roles/*/README.md",
    "experiments/*.yml",
    "inventories/*.yml",
    "Makefile",
)
VERBS = {name for name, _ in cli.verbs()}
# Words that stand for something of the reader's. A path of the reader's machine begins with / and is not looked for.
STANDS_FOR = {
    "RUN": "results/smoke/latest",
    "RUN_A": "results/smoke/a",
    "RUN_B": "results/smoke/b",
    "FILE": "experiments/smoke.yml",
    "DIR": "/tmp",  # noqa: S108 -- nothing is written there
    "/var/lib/prometheus/node-exporter/unix.prom": "/tmp/unix.prom",  # noqa: S108 -- same
    "HOST": "web1",
    "INVENTORY": "inventories/example.yml",
    "SOCKET": "/run/app.sock",
    "FIELD": "kernel",
    "NAME": "mine",
    "WORD": "backlog",
    "VERB": "plan",
    "N": "3",
}
OURS = re.compile(
    r"(?<![\w./-])(?:experiments|inventories|playbooks|roles|scripts|tests|docs|contrib|cgidlab|benchmarks)/[\w./*-]+"
)
MADE = ("benchmarks/results/",)  # by a command, and not kept
MADE_BY_NEW = re.compile(r"experiments/my-[a-z-]+\.yml")  # by `new`, of the reader's own
RUNNABLE = {"help", "options", "schema", "validate", "plan", "--version"}
"""Verbs that touch nothing, and take a second at most."""


@dataclass(frozen=True)
class Shown:
    """A command as a document shows it."""

    where: str  # file and line
    text: str
    inline: bool = False  # in a sentence, where a verb and its options may stand for themselves

    def __str__(self) -> str:
        """Return what a failing test is called by."""
        return f"{self.where}: {self.text}"


def shown() -> Iterator[Shown]:
    """Yield every line of code and every inline piece of it."""
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            yield from _of(path)


def _of(path: Path) -> Iterator[Shown]:
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        where = f"{path.relative_to(ROOT)}:{number}"
        if path.suffix != ".md":  # comments of a file that is no document
            if line.startswith("#") or "## " in line:
                yield from (Shown(where, text) for text in _in_comment(line))
        elif line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield Shown(where, line.strip())
        else:
            yield from (Shown(where, text, inline=True) for text in re.findall(r"(?<!`)`([^`]+)`(?!`)", line))


def _in_comment(line: str) -> list[str]:
    quoted = re.findall(r"`([^`]+)`", line)
    return quoted or [line.lstrip("# ")]


def commands(begin: str) -> list[Shown]:
    """Return the commands that begin so, each without what is fed to it and what explains it."""
    place = r"(?<![\w./-])" if begin.startswith(".") else r"^(?:\$ )?(?:[A-Z_]+=\S+ )*"
    found = ((one, re.search(place + re.escape(begin) + r"(.*)", one.text)) for one in shown())
    return [Shown(one.where, f"{begin}{_command_alone(match[1])}", one.inline) for one, match in found if match]


def _command_alone(rest: str) -> str:
    """Cut a command off where a comment, a second command or its explanation begins: that stands two spaces apart."""
    return re.split(r"\s{2,}|\s#|\s\||\s>|\s&&|;|\)", rest, maxsplit=1)[0].rstrip()


def words(text: str) -> list[str]:
    """Return a command's words, with something for what stands for something, and what may be left out in."""
    plain = text.replace("[", "").replace("]", "").replace("...", "").replace("\N{HORIZONTAL ELLIPSIS}", "")
    return [STANDS_FOR.get(MADE_BY_NEW.sub("FILE", word), word) for word in shlex.split(plain)]


def own_commands() -> list[Shown]:
    """Return the commands of the program, and those that are shown without it: `plan FILE`."""
    ours = commands(f"{PROGRAM} ")
    short = [
        one
        for one in shown()
        if one.text.split()[:1] and one.text.split()[0] in VERBS and _looks_like_a_command(one.text)
    ]
    return ours + [Shown(one.where, f"{PROGRAM} {_command_alone(one.text)}", one.inline) for one in short]


def _looks_like_a_command(text: str) -> bool:
    return bool(re.search(r" (--[a-z]|[A-Z]{2,}|(experiments|results|inventories)/)", text))


@pytest.mark.parametrize("one", own_commands(), ids=str)
def test_a_command_parses_and_names_what_is_there(one: Shown) -> None:
    argv = words(one.text)[1:]
    if "--help" in argv or argv[0] == "help":
        return
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = cli.parsed(argv)
            if args.verb in RUNNABLE:
                assert cli.main(argv) == 0, f"{one}: {said.getvalue()}"
            elif args.verb in {"run", "calibrate"} and getattr(args, "experiment", None):
                checked = [
                    *(f"--set={p}" for p in getattr(args, "set", ())),
                    *(f"--only={p}" for p in getattr(args, "only", ())),
                ]
                assert cli.main(["validate", str(args.experiment), *checked]) == 0, f"{one}: {said.getvalue()}"
    except SystemExit as err:  # argparse's way of saying that it does not know a word
        left_out = re.search(r"expected one argument|arguments are required", said.getvalue())
        if err.code and not (one.inline and left_out):
            pytest.fail(f"{one}: {said.getvalue()}")
    except LabError as err:
        pytest.fail(f"{one}: {err}")


@pytest.mark.parametrize("one", commands("make "), ids=str)
def test_a_target_of_make_is_there(one: Shown) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named, given = [], {}
    for word in words(one.text)[1:]:
        name, equals, value = word.partition("=")
        if equals:
            given[name] = value
        elif re.fullmatch(r"[a-z][a-z0-9-]*", word):
            named.append(word)
    if one.text not in {"make ", "make"}:
        assert set(named) <= targets, one
    if "bench" in named and "ARGS" in given:
        assert all((ROOT / "benchmarks" / f"{name}.py").exists() for name in given["ARGS"].split()), one


@pytest.mark.parametrize("one", commands(".venv/bin/python -m "), ids=str)
def test_a_module_is_there_can_be_started_and_knows_its_options(one: Shown) -> None:
    module, *given = words(one.text)[2:]
    spec = importlib.util.find_spec(module)
    assert spec is not None, one
    path = Path(str(spec.origin))
    text = path.read_text() if path.name != "__init__.py" else path.with_name("__main__.py").read_text()
    assert "__main__" in text or path.name == "__init__.py", f"{one}: it does nothing when it is started"
    unknown = [word for word in given if word.startswith("--") and f'"{word}"' not in text]
    assert unknown == [], one


@pytest.mark.parametrize("one", commands("pytest "), ids=str)
def test_a_test_file_is_there(one: Shown) -> None:
    paths = [word for word in words(one.text)[1:] if word.startswith("tests")]
    assert [path for path in paths if not (ROOT / path).exists()] == [], one


def test_code_names_files_of_the_project_that_are_there() -> None:
    missing = [
        f"{one.where}: {path}"
        for one in shown()
        for path in OURS.findall(one.text)
        if not re.search(r"NAME|NNNN|\bX\b|<", one.text) and not _is_there(path.rstrip("."))
    ]

    assert missing == []


def _is_there(path: str) -> bool:
    if (
        path.startswith(MADE) or MADE_BY_NEW.fullmatch(path) or (ROOT / f"{path}.py").exists()
    ):  # modules are named without their ending
        return True
    return any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()


def test_there_is_one_form_of_a_command_and_no_other() -> None:
    """`python` alone is on no documented machine; `./runner.py` finds the interpreter that has the packages."""
    other = re.compile(r"(?<![\w./-])(?:python3? (?:-m |[\w./]+\.py)|(?:python3? )?runner\.py (?=\S))")
    found = [str(one) for one in shown() if other.search(one.text)]
    said = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "cgidlab").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"(?<!\./)runner\.py [a-z]", line) and not line.lstrip().startswith(('"""', "#"))
    ]

    assert found + said == []
