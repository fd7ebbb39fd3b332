"""How the project is started, as its words tell a user: error texts, advice and pages name it by this alone."""

PROGRAM = "./runner.py"


def command(words: str) -> str:
    """Return what to type for these words of the command line: "./runner.py status"."""
    return f"{PROGRAM} {words}"
