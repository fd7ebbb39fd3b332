"""`runner.py parse-log`: what mod_cgid wrote into an error_log, counted. Reads one file, writes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cgidlab.errors import SpecError

if TYPE_CHECKING:
    import argparse

    from cgidlab.commands import options
    from cgidlab.parsers.error_log import ErrorLog, Retries

_MEANING = {"111": "ECONNREFUSED", "2": "ENOENT", "other": "other"}


def register(verbs: options.Verbs) -> None:
    """Add the verb and its options."""
    p = verbs.add_parser(
        "parse-log",
        help="count what mod_cgid wrote into an error_log",
        description="Counts mod_cgid's messages by AH number and its connect retries by errno, attempt and request, "
        "before, inside and after a window. Reads error_log of httpd 2.2 and 2.4, plain, .gz or .zst.",
    )
    p.add_argument("file", type=Path, help="error_log, error_log.gz or error_log.zst")
    p.add_argument(
        "--from", dest="begin", metavar="T", help="begin of the window: seconds since 1970 or ISO 8601 (zone: --tz)"
    )
    p.add_argument("--to", dest="end", metavar="T", help="end of the window; not part of it")
    p.add_argument("--tz", default="UTC", help="zone of the log's times and of T without one (default: UTC)")
    p.add_argument("--format", choices=("text", "json"), default="text")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the counts."""
    from cgidlab import unpack  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.parsers.error_log import Window, parse_error_log  # noqa: PLC0415 -- same

    zone = _zone(args.tz)
    window = Window(_moment_ns("--from", args.begin, zone), _moment_ns("--to", args.end, zone))
    if window.begin_ns is not None and window.end_ns is not None and window.end_ns <= window.begin_ns:
        raise SpecError("the window ends before it begins", where="--from, --to", fix="give --to a later time")
    log = parse_error_log(args.file, window, zone=zone, open_stream=unpack.open_stream)
    if args.format == "json":
        print(json.dumps(_document(log)))
    else:
        print(_text(log, windowed=args.begin is not None or args.end is not None))
    return 0


def _document(log: ErrorLog) -> dict[str, Any]:
    spans = {"before": log.before, "inside": log.inside, "after": log.after}
    return {
        "schema_version": 1,
        "retries": {name: dict(span.by_errno) for name, span in spans.items()},
        "attempts": {name: {str(n): count for n, count in s.by_attempt.items()} for name, s in spans.items()},
        "requests": {name: span.requests for name, span in spans.items()},
        "messages": dict(log.messages),
        "messages_inside": dict(log.messages_inside),
        "unreadable_lines": log.unreadable_lines,
        "lines": log.lines,
    }


def _text(log: ErrorLog, *, windowed: bool) -> str:
    lines = [f"lines       {log.lines}, of which unreadable {log.unreadable_lines}"]
    spans = [("before", log.before), ("inside", log.inside), ("after", log.after)] if windowed else [("", log.inside)]
    lines += [f"retries     {name + ': ' if name else ''}{_retries(span)}" for name, span in spans]
    found = {name: count for name, count in log.messages.items() if count}
    lines += [
        f"{name:<18}{count}" + (f"  ({log.messages_inside.get(name, 0)} inside)" if windowed else "")
        for name, count in found.items()
    ]
    if not found:
        lines.append("none of mod_cgid's messages")
    if not log.messages["AH01256"]:
        lines.append(
            "no retry line: no evidence against a full queue, where connect() sleeps on Linux and writes nothing; "
            "and it is written at LogLevel debug only"
        )
    return "\n".join(lines)


def _retries(span: Retries) -> str:
    if not span.total:
        return "0"
    kinds = ", ".join(f"{_MEANING[errno]} {n}" for errno, n in span.by_errno.items() if n)
    attempts = ", ".join(f"#{n} {count}" for n, count in span.by_attempt.items())
    return f"{span.total} of {span.requests} requests ({kinds}); by attempt: {attempts or 'not said'}"


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise SpecError(f"there is no zone {name!r}", where="--tz", fix="name one like Asia/Tokyo, or UTC") from err


def _moment_ns(option: str, text: str | None, zone: tzinfo) -> int | None:
    """Return a moment in nanoseconds since 1970, exactly."""
    if text is None:
        return None
    try:
        return int(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise SpecError(
            f"not a time: {text!r}", where=option, fix="give seconds since 1970 or ISO 8601, 2026-11-23T15:04:05.5"
        ) from err
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1_000_000_000 + moment.microsecond * 1000
