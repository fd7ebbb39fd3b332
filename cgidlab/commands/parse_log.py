"""`runner.py parse-log`: what logs say of mod_cgid and of what happened around it. Writes nothing."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cgidlab.commands import options
from cgidlab.errors import LabError, SpecError
from cgidlab.starting import command
from cgidlab.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from cgidlab.parsers.error_log import LogCounts

_DESCRIPTION = """Counts mod_cgid's messages by AH number and error, its connect retries by errno, attempt and request,
before, inside and after a window, and says what they mean. Reads error_log of httpd 2.2 and 2.4 in any
ErrorLogFormat, and what syslog, journalctl, Docker, Kubernetes, grep or an export as JSON or CSV made of one; plain,
.gz, .bz2, .xz or .zst. Exit status: 1 if a file holds no line of a known kind."""


def register(verbs: options.Verbs) -> None:
    """Add the verb and its options."""
    p = verbs.add_parser("parse-log", help="what an error_log says of mod_cgid", description=_DESCRIPTION)
    p.add_argument(
        "file",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="error_logs, read in order of time; of a directory those with `error` in their name, or all; "
        "- is standard input, and so is none",
    )
    p.add_argument(
        "--from", dest="begin", metavar="T", help="begin of the window: seconds since 1970 or ISO 8601 (zone: --tz)"
    )
    p.add_argument("--to", dest="end", metavar="T", help="end of the window; not part of it")
    p.add_argument(
        "--tz", default="UTC", metavar="ZONE", help="zone of the log's times and of T without one (default: UTC)"
    )
    options.add_format(p)
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the logs say; return 1 if one of them holds no line of a known kind."""
    from cgidlab import unpack  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.log_meaning import explain, unreadable  # noqa: PLC0415 -- same
    from cgidlab.parsers.error_log import Window, parse_error_log  # noqa: PLC0415 -- same

    if not args.file and sys.stdin.isatty():
        raise SpecError(
            "no log is named",
            where="FILE",
            fix=f"name a file, or pipe one: journalctl -u httpd | {command('parse-log')}",
        )
    zone = _zone(args.tz)
    window = Window(_moment_ns("--from", args.begin, zone), _moment_ns("--to", args.end, zone))
    if window.begin_ns is not None and window.end_ns is not None and window.end_ns <= window.begin_ns:
        raise SpecError("the window ends before it begins", where="--from, --to", fix="give --to a later time")
    log = parse_error_log(_files(args.file or [unpack.STDIN]), window, zone=zone, open_stream=unpack.open_stream)
    strange = unreadable(log)
    if args.format == "json":
        print(json.dumps(_document(log, zone)))
    elif any(file.recognised for file in log.files):
        windowed = args.begin is not None or args.end is not None
        print("\n".join(explain(log, zone, windowed=windowed)))
    for line in strange:
        print(printable(line), file=sys.stdout if args.format == "text" else sys.stderr)
    return 1 if strange else 0


def _files(named: Sequence[Path]) -> list[Path]:
    """Return the files to read: those named, and those of directories."""
    files: list[Path] = []
    for path in named:
        files += _of_directory(path) if path.is_dir() else [path]
    return list(dict.fromkeys(files))


def _of_directory(directory: Path) -> list[Path]:
    found = [Path(at) / name for at, _, names in os.walk(directory) for name in names]
    files = sorted(path for path in found if path.is_file())
    logs = [path for path in files if "error" in path.name.lower()] or files
    if not logs:
        raise LabError("there is no file in this directory", where=str(directory), fix="name a log")
    return logs


def _document(log: LogCounts, zone: tzinfo) -> dict[str, Any]:
    spans = {"before": log.before, "inside": log.inside, "after": log.after}
    return {
        "schema_version": 1,
        "retries": {name: dict(span.by_errno) for name, span in spans.items()},
        "attempts": {name: {str(n): count for n, count in s.by_attempt.items()} for name, s in spans.items()},
        "requests": {name: span.requests for name, span in spans.items()},
        "messages": dict(log.messages),
        "messages_inside": dict(log.messages_inside),
        "messages_without_time": log.untimed,
        "unreadable_lines": log.unreadable_lines,
        "lines": log.lines,
        "recognised": log.recognised,
        "by_errno": _by_errno(log),
        "errno_names": {e.number.decode(): e.name for counts in log.by_errno.values() for e in counts},
        "errno_system": log.system,
        "refused_retries": log.refused_retries,
        "unix_queue_full": sum(log.queue_full.values()),
        "unix_queue_full_by_socket": dict(log.queue_full),
        "kinds": dict(log.kinds),
        "events": [{"time": _local(e.time_s, zone), "kind": e.kind, "count": e.times} for e in log.timeline.events()],
    }


def _by_errno(log: LogCounts) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, counts in sorted(log.by_errno.items()):
        of = found.setdefault(name, {})
        for error, n in counts.items():
            number = error.number.decode()
            of[number] = of.get(number, 0) + n
    return found


def _local(time_s: int | None, zone: tzinfo) -> str | None:
    """Return a time as the log has it, in its zone."""
    return None if time_s is None else datetime.fromtimestamp(time_s, zone).replace(tzinfo=None).isoformat()


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
    except (DecimalException, ValueError, OverflowError):
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
