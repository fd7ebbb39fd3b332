"""The table of docs/observe.md: what `observe` said of each server through everything, beside what its front wrote.

`make servers` makes it: a cell is from a test that has held the one against the other, and the table is written whole
or not at all. What `observe` says of two overflows stands in the READMEs, and is written with it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgidlab.terminal import folded
from scripts.write_docs import filled

PART = "servers"
EXAMPLES = "observed"  # the READMEs' part
SHOWN = {"nginx, php-fpm": "nginx before php-fpm", "Apache, mod_cgid, event": "Apache with mod_cgid"}
_WIDTH = 106
FRONTS = (
    "nginx, php-fpm",
    "nginx, uWSGI",
    "nginx, gunicorn",
    "Apache, mod_proxy_fcgi, php-fpm",
    "Apache, mod_wsgi",
    "Apache, mod_cgid, event",
    "Apache, mod_cgid, prefork",
)
OVERFLOW, LIGHT_LOAD, NO_LOAD, DEAD = SITUATIONS = (
    "more clients than its queue holds",
    "one client alone",
    "no request",
    "one client, its backend killed meanwhile",
)
_PACKAGES = {
    "nginx": "nginx",
    "php-fpm": "php-fpm",
    "uWSGI": "uwsgi-core",
    "gunicorn": "gunicorn",
    "Apache": "apache2",
    "mod_wsgi": "libapache2-mod-wsgi-py3",
}
_VERDICTS = {
    "observed": "overflowed",
    "moment": "overflowed for moments",
    "not_observed": "did not overflow",
    "inconclusive": "nothing can be said",
}


class Table:
    """Cells by front and situation, as far as tests have made them."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], str] = {}
        self._labels: dict[str, str] = {}
        self._lines: dict[str, Sequence[str]] = {}

    def name(self, front: str, version: Callable[[str], str]) -> None:
        """Give a front its name in the table, with its packages' versions."""
        label = front
        for name, package in _PACKAGES.items():
            if name in front:
                label = label.replace(name, f"{name} {version(package)}")
        self._labels[front] = label

    def add(self, front: str, situation: str, one: Mapping[str, Any], truth: Mapping[int, int]) -> None:
        """Keep what was said of a front's socket, and how many requests the front answered with which status."""
        assert front in FRONTS
        assert situation in SITUATIONS
        wrote = ", ".join(f"{status}: {number:,}" for status, number in sorted(truth.items())) or "nothing"
        self._cells[front, situation] = f"{said(one)}<br>*{wrote}*"
        if situation == OVERFLOW:
            self._lines[front] = one["verdict"]["lines"]

    @property
    def missing(self) -> list[str]:
        """Return which cells no test has made."""
        wanted = [(front, situation) for front in FRONTS for situation in SITUATIONS]
        return [f"{front} ({situation})" for front, situation in wanted if (front, situation) not in self._cells]

    @property
    def text(self) -> str:
        """Return it, where it is whole."""
        head = [f"| | {' | '.join(SITUATIONS)} |", f"|{' --- |' * (1 + len(SITUATIONS))}"]
        rows = (f"| {self._labels[f]} | {' | '.join(self._cells[f, s] for s in SITUATIONS)} |" for f in FRONTS)
        return "\n".join([*head, *rows])

    @property
    def examples(self) -> str:
        """Return what was said of the overflows that the READMEs show: whether it did, and what to do, as code."""
        told = []
        for front, name in SHOWN.items():
            told.append(f"    $ ./runner.py observe --socket SOCKET        ({name})")
            first, *_, last = self._lines[front]
            told += folded(f"{first} {last}", _WIDTH, " " * 6, " " * 6).split("\n")
        return "\n".join(line.rstrip() for line in told)

    def write(self, path: Path, readmes: Sequence[Path]) -> None:
        """Put it into a document, and the examples into the READMEs, between the marks that are there for them."""
        path.write_text(filled(path.read_text(), PART, self.text, path.name))
        for readme in readmes:
            readme.write_text(filled(readme.read_text(), EXAMPLES, self.examples, readme.name))


def said(one: Mapping[str, Any]) -> str:
    """Return the verdict on a socket in a few words, with the figures that it rests on."""
    parts = []
    if one["verdict"]["overflow"] in ("observed", "moment"):
        parts.append(f"full for {100 * one['queue_full_share']:.0f} %")
        if not one["connects_turned_away"]:
            parts.append(f"connects took up to {one['connect_max_us'] / 1000:,.0f} ms")
    elif one["connects"]:
        parts.append(f"at most {one['queue_depth_max']} of {one['queue_limit']}")
    parts += [
        f"{number:,} of {one['connects']:,} {what}"
        for what, number in (("turned away", one["connects_turned_away"]), ("refused", one["connects_refused"]))
        if number
    ]
    verdict = _VERDICTS[one["verdict"]["overflow"]]
    return f"{verdict}: {', '.join(parts)}" if parts else verdict
