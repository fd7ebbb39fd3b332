"""Text for people: shows what a host or a file says without doing what its control sequences ask for."""

import os
import sys
from typing import Any, TextIO
from unicodedata import category


def stand_in() -> None:
    """Put /dev/null in the place of standard input, output and error that are closed: the next file would be there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            made = os.open(os.devnull, os.O_RDWR)  # under the lowest number that is free
            os.set_inheritable(made, True)  # noqa: FBT003 -- it takes no names
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 -- to the end
            setattr(sys, name, stream)


def printable(text: str) -> str:
    """Return text with a mark for every character that is not shown as itself, newline and tab aside."""
    if text.isprintable():  # nearly all text, and a hundred times faster
        return text
    return "".join(c if is_shown(c) or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def shown(value: object) -> object:
    """Return plain text `printable`, and anything else, such as text that is markup already, as it is."""
    return printable(value) if type(value) is str else value


def is_shown(character: str) -> bool:
    """Say whether a character is shown as itself: no control, no change of direction, no half of a pair."""
    return character.isprintable() or category(character) == "Zs"  # spaces of every script


class Plain:
    """A text stream that passes everything on to another one as `printable` text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; return how many characters were taken."""
        self._stream.write(printable(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the other stream has
        """Return what the other stream has under this name."""
        return getattr(self._stream, name)
