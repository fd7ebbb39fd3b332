"""The command line: a list of verbs. The only module that prints an error."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import TextIO, cast

from cgidlab import __version__
from cgidlab.commands import VERBS, signals
from cgidlab.errors import LabError
from cgidlab.terminal import Plain, printable, stand_in

_EPILOG = """\
An experiment file alone means `run`:  python runner.py experiments/backlog-sweep.yml
Exit status: 0 done; 2 the experiment file or the command line; 3 provisioning failed;
4 finished, but some trials failed or are invalid; 130 interrupted; 1 anything else."""


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status. Errors go to standard error, without a traceback."""
    stand_in()
    try:
        with contextlib.redirect_stdout(cast("TextIO", Plain(sys.stdout))):
            args = _parser().parse_args(_with_verb(argv))
            with signals.end_the_verb():
                status: int = args.run(args)
    except LabError as err:
        print(printable(str(err)), file=sys.stderr)
        return err.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner.py",
        description="Experiments on Apache httpd's mod_cgid that end in a verdict.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cgidlab {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for register in VERBS:
        register(verbs)
    return parser


def _with_verb(argv: Sequence[str]) -> list[str]:
    """Put `run` before an experiment file, or a run to go on with, that stands alone."""
    first = argv[0] if argv else ""
    alone = first.endswith((".yml", ".yaml")) or first.partition("=")[0] == "--resume"
    return ["run", *argv] if alone else list(argv)
