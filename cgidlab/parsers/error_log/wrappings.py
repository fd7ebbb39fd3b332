"""What stands around a line of httpd's: syslog, the journal, containers, exports, grep, a paste.

A line's kind is for people; what it says is found wherever it stands (`messages`).
"""

import json
import re
from collections.abc import Iterator

from cgidlab.parsers.error_log.messages import Said, read

HTTPD = "httpd's own form"
STRANGE = "not understood"
OTHERS = "other programs"
HEADING = "headings"
_RFC3339 = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d| [A-Z]{3,4})?"
_PROGRAM = rb"\S+ [^\s\[:]+(?:\[\d+\])?: "

# the first that matches a line's beginning names its kind
WRAPPINGS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("syslog", rb"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? " + _PROGRAM),
        ("syslog", rb"<\d{1,3}>(?:1 )?"),
        ("Kubernetes", _RFC3339 + rb" std(?:out|err) [FP] "),
        ("journal", rb"(?:[A-Z][a-z]{2} )?(?:" + _RFC3339 + rb"|\d{10}\.\d{6}|\[ *\d+\.\d{6}\]) " + _PROGRAM),
        ("nginx", rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#"),
        ("php-fpm", rb"\[\d\d-[A-Z][a-z]{2}-\d{4} [\d:.]+(?: [\w/]+)?\] [A-Z]+: "),
        ("journal", rb'\{.*?"(?:__REALTIME_TIMESTAMP|_BOOT_ID|MESSAGE)"'),
        ("Docker", rb'\{ ?"log" ?: ?"'),
        ("JSON", rb"\s*[\[{]\s*[{\"]|\s*\"[\w@.]+\" ?: "),
        ("Docker", _RFC3339 + rb" \["),
        ("Compose", rb"(?:\x1b\[[\d;]*m)*[\w.@/-]+\s+(?:\x1b\[[\d;]*m)*\|"),
        ("logfmt", rb"[\w@.]+=(?:\"[^\"]*\"|\S*) [\w@.]+="),
        ("CSV", rb"(?:\"[^\"]*\"|[^,\[\"]{0,60}),"),
        ("quoted or indented", rb"[>|`\s\"']+\S"),
        ("grep", rb"[^\s\[]+[:-]\s*\["),
    )
)
OTHER_FORM = "another format of httpd"
_OF_OTHERS = {"syslog", "journal", "Docker", "Kubernetes", "Compose"}
# httpd's words, whatever is around them, and those of its neighbours
_KNOWN = re.compile(
    rb"\[[\w.\-]*:(?:emerg|alert|crit|error|warn|notice|info|debug|trace\d)\]|\bAH\d{5}: ?"
    rb"|\d{4}\] \[(?:emerg|alert|crit|error|warn|notice|info|debug)\] |[ /](?:httpd|apache2)(?:\[\d+\]|:) "
    rb"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#|\[\d\d-[A-Z][a-z]{2}-\d{4} [^\]]{8,40}\] [A-Z]+: |\*\*\* uWSGI "
    rb"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\] \["
)
# of `tail -f`, journalctl, `grep -C`, a table, a fence
_HEADING = re.compile(
    rb"==> .+ <==|-- (?:Logs begin|Journal begins|Boot |Reboot|No entries)|--\s*$|```"
    rb"|\"?[@_]?(?:time|timestamp|date)\"?,\"?[@\w]",
    re.IGNORECASE,
)
_ACCESS = re.compile(rb"\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:")
_ANSI = re.compile(rb"(?:\x1b|\\u001b|#033|\\x1[bB]|\\e)\[[\d;]{0,20}[A-Za-z]")
_JSON = re.compile(rb"[\[{]\s*[{\"]")
_REPEATED = re.compile(rb"message repeated (\d{1,9}) times(?:: \[ ?)?")
_TEXT_FIELDS = ("log", "message", "msg", "MESSAGE", "@message", "_raw", "textPayload", "text", "line", "body")
_DEPTH = 8
_KEY, _KEEP_KINDS = 112, 10_000
_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0000000000")
_HEAD = 1 << 14  # of a line; httpd itself cuts lines at 8 kB


class Kinds:
    """Tells what lines are, at once where one that began alike, but for its digits, has been seen."""

    def __init__(self) -> None:
        self._seen: dict[bytes, str] = {}

    def of(self, lines: list[bytes]) -> list[str]:
        """Return the kind of each line."""
        keys = [line[:_KEY].translate(_DIGITS_ALIKE) for line in lines]
        seen = self._seen.get
        return [seen(key) or self._kind(line, key) for line, key in zip(lines, keys, strict=True)]

    def _kind(self, line: bytes, key: bytes) -> str:
        known = _KNOWN.search(line, 0, _HEAD)
        name = next((name for name, pattern in WRAPPINGS if pattern.match(line)), "")
        if known and not _ACCESS.match(line):
            kind = name or OTHER_FORM
            if known.end() <= _KEY:
                if len(self._seen) >= _KEEP_KINDS:
                    self._seen.clear()
                self._seen[key] = kind
            return kind
        if _HEADING.match(line):
            return HEADING
        return OTHERS if name in _OF_OTHERS else STRANGE


def clean(line: bytes) -> bytes:
    """Return a line without colours, byte order mark, NUL and white space around it."""
    return _ANSI.sub(b"", line).strip(b" \t\r\n\0\xef\xbb\xbf")


def repeated(line: bytes) -> tuple[int, bool]:
    """Return how often syslog says a message came, and whether that is the message before this line."""
    found = _REPEATED.search(line)
    if not found:
        return 1, False
    return int(found[1]), not found[0].endswith((b"[", b"[ "))


def said(line: bytes) -> Iterator[tuple[Said, bytes]]:
    """Yield what a line says, with what bears its time; more than one where a line is a list of records."""
    begin = _JSON.search(line)
    if begin and b'":' in line.replace(b" :", b":"):
        value = _parsed(line[begin.start() :])
        if value is not None:
            yield from _records(value, line, 0)
            return
    line = line[:_HEAD]
    if b'\\"' in line or b'""' in line:
        line = line.replace(b'\\"', b'"').replace(b'""', b'"')
    yield read(line), line


def _parsed(data: bytes) -> object:
    try:
        return json.JSONDecoder().raw_decode(data.decode(errors="replace"))[0]
    except (ValueError, RecursionError):
        return None


def _records(value: object, line: bytes, depth: int) -> Iterator[tuple[Said, bytes]]:
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for one in value:
            yield from _records(one, json.dumps(one).encode() if isinstance(one, dict) else b"", depth + 1)
        return
    if not isinstance(value, dict):
        return
    texts = sorted(_strings(value, 0), key=lambda pair: pair[0] not in _TEXT_FIELDS)
    for _, text in texts:
        found = read(text)
        if found != Said():
            # the line's own time comes first, then that of its record
            yield found, text + b" " + line
            return
    for inner in value.values():
        if isinstance(inner, list):
            yield from _records(inner, line, depth + 1)
        elif isinstance(inner, dict):
            yield from (r for v in inner.values() if isinstance(v, list) for r in _records(v, line, depth + 1))


def _strings(value: dict[str, object], depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield (field, text) of a record, but not of records listed in it."""
    for name, inner in value.items():
        if isinstance(inner, str):
            nested = _parsed(inner.encode()) if depth < _DEPTH and inner.startswith("{") else None
            if isinstance(nested, dict):
                yield from _strings(nested, depth + 1)
            yield name, _ANSI.sub(b"", inner.encode(errors="replace"))
        elif isinstance(inner, dict) and depth < _DEPTH:
            yield from _strings(inner, depth + 1)
        elif isinstance(inner, list) and inner and all(isinstance(b, int) and 0 <= b < 256 for b in inner):  # noqa: PLR2004 -- a byte
            yield name, _ANSI.sub(b"", bytes(inner))  # the journal's way with a text that is not printable
