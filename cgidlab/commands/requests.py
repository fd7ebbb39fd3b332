"""Whose requests slept in connect(): the lines of `observe` below an httpd's verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

_TITLES = {"vhosts": "by virtual host", "requests": "by request", "clients": "by client"}


def lines(said: Mapping[str, Any] | None) -> list[str]:
    """Return nothing where no worker slept, or it is no httpd; else the top ten of each, or why there are none."""
    if not said:
        return []
    if said["why_none"]:
        return [f"Whose requests fill it? Not known: {said['why_none']}."] if said["seen"] else []
    if not said["seen"]:
        return []
    known = said["seen"] - said["unknown"]
    found = [f"Whose requests fill it? Of {known:,} looks at a worker asleep in connect():"]
    for key, title in _TITLES.items():
        found += [f"  {title}", *(f"    {_share(number, known)}  {_plain(text)}" for text, number in _pairs(said[key]))]
    return found


def _pairs(raw: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    return [(str(text), int(number)) for text, number in raw]


def _share(number: int, known: int) -> str:
    return f"{100 * number / max(1, known):5.1f} %"


def _plain(text: str) -> str:
    """Return what a stranger sent as what a terminal may be given."""
    return "".join(c if c.isprintable() else "?" for c in text) or "(none)"
