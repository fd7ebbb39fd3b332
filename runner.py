#!/usr/bin/env python3
"""Start cgidlab. Knows alone how to find the interpreter that has the packages.

Written for any Python from 3.6 on, and with next to no imports: it must be able
to say what is missing, and start-up time is paid by every verb.
"""

import os
import sys
from importlib.util import find_spec

ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib costs 5 ms
VENV = os.path.join(ROOT, ".venv")  # noqa: PTH118 -- same
VENV_PYTHON = os.path.join(VENV, "bin", "python")  # noqa: PTH118 -- same
STAMP = os.path.join(VENV, ".cgidlab-stamp")  # noqa: PTH118 -- same; scripts/setup.sh writes it last
READING = ("altair", "jinja2", "numpy", "polars", "pydantic", "rich", "scipy", "vl_convert", "yaml")
PACKAGES = ("ansible", "ansible_runner", "prometheus_client", *READING)
# Verbs that need less than all: what a run left can be read for years, also where no Ansible can be had any more.
NEEDS = {
    "report": READING,
    "compare": READING,
    "status": READING,
    "history": READING,
    "parse-log": READING,
    "schema": ("pydantic", "yaml"),
    "--version": (),
    "--help": (),
    "-h": (),
}
MISSING = "error: packages of requirements.lock are missing ({}); install them with: make -C {} setup"
BROKEN = (
    "error: a package cannot be loaded: {0}\n  at:  {1}\n"
    "  fix: install it again with make -C {1} setup; a checkout cannot be on a file system that is mounted noexec"
)
OLD = "error: this Python is older than 3.11; make one that is not with: make -C {} setup"
EXIT_MISSING = 2


def missing(argv: "list[str]") -> "list[str]":
    """Return the packages that a command line needs and this interpreter lacks."""
    return [name for name in NEEDS.get(argv[0] if argv else "", PACKAGES) if find_spec(name) is None]


def main() -> int:
    """Run the command line, in .venv's interpreter where this one lacks the packages."""
    is_old = sys.version_info < (3, 11)
    lacking = missing(sys.argv[1:])
    if is_old or lacking:
        # samefile: a path through a link must not make .venv's own interpreter start itself for ever.
        if os.path.exists(STAMP) and not os.path.samefile(sys.prefix, VENV):  # noqa: PTH110, PTH121 -- same
            os.execv(VENV_PYTHON, [VENV_PYTHON, *sys.argv])  # noqa: S606 -- no shell is wanted
        print(OLD.format(ROOT) if is_old else MISSING.format(", ".join(lacking), ROOT), file=sys.stderr)
        return EXIT_MISSING
    try:
        from cgidlab.cli import main as cli_main  # noqa: PLC0415 -- only importable once the packages are there

        return cli_main(sys.argv[1:])
    except ImportError as err:
        if (err.name or "").split(".")[0] == "cgidlab":
            raise  # a fault of ours
        print(BROKEN.format(_first_cause(err), ROOT), file=sys.stderr)
        return EXIT_MISSING


def _first_cause(err: BaseException) -> str:
    """Return what a package that cannot be loaded said first; what it says last may be a page of advice."""
    while err.__cause__ is not None:
        err = err.__cause__
    return (str(err).strip() or repr(err)).splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
