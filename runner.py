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
PACKAGES = (
    "altair",
    "ansible",
    "ansible_runner",
    "jinja2",
    "numpy",
    "polars",
    "pydantic",
    "rich",
    "scipy",
    "vl_convert",
    "yaml",
)
MISSING = "error: the packages of requirements.lock are missing; install them with: make -C {} setup"
EXIT_MISSING = 2


def has_packages() -> bool:
    """Return whether this interpreter can run cgidlab."""
    return sys.version_info >= (3, 11) and all(find_spec(name) is not None for name in PACKAGES)


def main() -> int:
    """Run the command line, in .venv's interpreter where this one lacks the packages."""
    if not has_packages():
        # samefile: a path through a link must not make .venv's own interpreter start itself for ever.
        if os.path.exists(STAMP) and not os.path.samefile(sys.prefix, VENV):  # noqa: PTH110, PTH121 -- same
            os.execv(VENV_PYTHON, [VENV_PYTHON, *sys.argv])  # noqa: S606 -- no shell is wanted
        print(MISSING.format(ROOT), file=sys.stderr)
        return EXIT_MISSING
    from cgidlab.cli import main as cli_main  # noqa: PLC0415 -- only importable once the packages are there

    return cli_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
