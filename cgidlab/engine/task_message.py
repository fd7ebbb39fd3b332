"""What a failed task of Ansible said, as a user is to read it. Pure."""

import json
from collections.abc import Mapping
from typing import Any

_MOST_LINES = 25
_TRACEBACK = "Traceback (most recent call last)"


def of(res: Mapping[str, Any]) -> str:
    """Return what a failed task said, without the parts that repeat the task.

    A host may say anything: bytes that are no text are spelt out, since the message is printed and kept.
    ansible-runner hands on nothing of a result with more than 700,000 characters, which no module of ours has.
    """
    return _said(res).encode("utf-8", "backslashreplace").decode()


def _said(res: Mapping[str, Any]) -> str:
    if not res:
        return "the host answered so much that Ansible hands on nothing of it"
    items = [r for r in res.get("results", []) if r.get("failed") or r.get("unreachable")]
    if items:
        return "\n".join(dict.fromkeys(_said(item) for item in items))  # what all of them say is said once
    said = res.get("stderr") or res.get("module_stderr") or res.get("stdout") or ""
    parts = [str(res.get("msg", "")).strip(), str(said).strip()]
    lines = _without_traceback("\n".join(part for part in parts if part).splitlines())
    return "\n".join(lines[-_MOST_LINES:]) or json.dumps(dict(res))[:500]


def _without_traceback(lines: list[str]) -> list[str]:
    """Return the lines without a module's traceback but for its last line, which says what happened.

    Ansible's own actions put a module's traceback behind their words, on the same line.
    """
    kept: list[str] = []
    inside = False
    for line in lines:
        before, begins, _ = line.partition(_TRACEBACK)
        if begins:
            inside = True
            kept += [before.rstrip()] if before.strip() else []
        elif not (inside and line.startswith(" ")):
            inside = False
            kept.append(line)
    return kept
