"""The command line: a list of verbs. Where an error becomes words and an exit status."""

import argparse
import contextlib
import difflib
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TextIO, cast

from cgidlab import __version__
from cgidlab.commands import VERBS, options, signals
from cgidlab.errors import LabError, SpecError
from cgidlab.starting import PROGRAM, command
from cgidlab.terminal import Plain, printable, stand_in

_SUFFIXES = (".yml", ".yaml")
_DOCS_WIDTH = 110
_EPILOG = f"""\
An experiment file alone means `run`:  {command("experiments/backlog-sweep.yml")}
`help VERB` says what a verb does; `options` lists what can be set.
Exit status: 0 done; 2 the experiment file or the command line; 3 provisioning failed;
4 finished, but some trials failed or are invalid; 130 interrupted; 1 anything else."""


class _Renamed(Plain):
    """Standard output that calls the program by the name it was started by."""

    def __init__(self, stream: TextIO, called: str) -> None:
        super().__init__(stream)
        self._called = called

    def write(self, text: str) -> int:
        """Write text; return how many characters were taken."""
        super().write(_named(text, self._called))
        return len(text)


def _named(text: str, called: str) -> str:
    return text if called == "runner.py" else re.sub(r"(?:\./)?\brunner\.py\b", called, text)


def main(argv: Sequence[str], called: str = "runner.py") -> int:
    """Run one command and return its exit status. Errors go to standard error, without a traceback.

    `called` is the name that help and errors call the program by.
    """
    stand_in()
    try:
        with contextlib.redirect_stdout(cast("TextIO", _Renamed(sys.stdout, called))):
            args = parsed(argv, called)
            with signals.end_the_verb():
                status: int = args.run(args)
    except LabError as err:
        print(printable(_named(str(err), called)), file=sys.stderr)
        return err.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def parsed(argv: Sequence[str], called: str = "runner.py") -> argparse.Namespace:
    """Return what a command line asks for. Raise `SpecError`, or end as argparse does, for one that is wrong."""
    return _parsers(called)[0].parse_args(_with_verb(argv))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    return _parsers()[0]


def verbs() -> tuple[tuple[str, argparse.ArgumentParser], ...]:
    """Return every verb with its own parser, in the order of the help."""
    return tuple(_parsers()[1].items())


def _parsers(called: str = "runner.py") -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of all verbs, and each verb's own."""
    found = argparse.ArgumentParser(
        prog=PROGRAM if called == "runner.py" else called,
        description="Experiments on Apache httpd's mod_cgid that end in a verdict.",
        epilog=_named(_EPILOG, called),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--version", action="version", version=f"cgidlab {__version__}")
    verbs = found.add_subparsers(dest="verb", required=True, metavar="VERB")
    for register in VERBS:
        register(verbs)
    return found, verbs.choices


def markdown() -> str:
    """Return every verb with its options as argparse shows them: the main part of docs/cli.md."""
    parts = []
    for name, verb in verbs():
        verb.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=_DOCS_WIDTH)
        parts.append(f"## {name}\n\n```text\n{verb.format_help().rstrip()}\n```")
    return "\n\n".join(parts)


def _with_verb(argv: Sequence[str]) -> list[str]:
    """Return the command line with its verb: `run` may be left out, and `help` be said in words.

    Raise `SpecError` for a first word that is neither a verb nor a file, with what was meant if that can be told.
    """
    if not argv:
        return ["--help"]
    first, *rest = argv
    if first == "help":
        return [*rest[:1], "--help"]
    if first in {"-h", "--help", "--version"}:
        return list(argv)
    verbs = _parsers()[1]
    if first in verbs:
        return list(argv)
    if first.startswith("-") or (first.endswith(_SUFFIXES) and Path(first).exists()):
        return ["run", *argv]
    raise SpecError(f"there is no verb and no experiment file `{first}`", where=PROGRAM, fix=_meant(first, verbs))


def _meant(word: str, verbs: Collection[str]) -> str:
    files = {str(p): p for p in _experiments(word)}
    for name, path in files.items():
        if word in {name, path.name, path.stem}:
            return f"use {name}"
    near = difflib.get_close_matches(word, [*verbs, *files, *(p.stem for p in files.values())], n=1, cutoff=0.75)
    if not near:
        return f"see the verbs with: {command('help')}; the experiments are in experiments/"
    return f"use {next((name for name, path in files.items() if path.stem == near[0]), near[0])}"


def _experiments(word: str) -> list[Path]:
    """Return the experiment files beside the one that was written, and those that come with the project."""
    beside = Path(word).parent
    places = [beside] if beside.parts and beside.is_dir() else []
    kept = options.ROOT / "experiments"
    places.append(Path("experiments") if Path("experiments").resolve() == kept else kept)
    return [path for place in places for path in sorted(place.glob("*.yml"))]
