"""Text for people: shows what a host or a file says without doing what its control sequences ask for."""

import os
import re
import sys
from typing import Any, TextIO
from unicodedata import category, east_asian_width


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


def cell(text: str) -> str:
    """Return text for one place in a table, `printable` and without an end of a line."""
    return printable(text).translate({ord("\n"): "\N{REPLACEMENT CHARACTER}", ord("\t"): " "})


def shown(value: object) -> object:
    """Return plain text `printable`, and anything else, such as text that is markup already, as it is."""
    return printable(value) if type(value) is str else value


def is_shown(character: str) -> bool:
    """Say whether a character is shown as itself: no control, no change of direction, no half of a pair."""
    return character.isprintable() or category(character) == "Zs"  # spaces of every script


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: the letters of East Asia take two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def folded(text: str, width: int, first: str, other: str) -> str:
    """Return a text in lines of at most `width` columns, `first` before the first of them and `other` before the rest.

    A line ends at a space or after a letter that takes two columns; no word is cut.
    """
    lines, line = [], first
    # A full stop or a bracket that closes stays with what is before it.
    pieces = re.findall(r"[^\s\u2e80-\uffef]+\s*|[\u2e80-\uffef][\u3001\u3002\u300d\uff09)\u3005\u30fc]*\s*", text)
    for piece in pieces:
        if columns(line + piece.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = other
        line += piece
    return "\n".join([*lines, line.rstrip()])


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
