"""`python -m cgidlab`, and the command `cgidlab` of an installed package."""

import sys

from cgidlab.cli import main


def console() -> int:
    """Run the command line under the name that it was started by."""
    return main(sys.argv[1:], called="cgidlab")


if __name__ == "__main__":
    sys.exit(console())
