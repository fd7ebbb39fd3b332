"""What a load asks for, from a file of the user's: paths with weights, or an access log to take them from.

Of a log, paths and query strings are kept and nothing else: no address, user, cookie or agent. What names a host is
dropped: load goes to the server under test alone.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cgidlab.design import hints
from cgidlab.errors import SpecError

MOST_BYTES = 64 << 20  # of the file
MOST_REQUESTS = 20_000
LONGEST_BYTES = 4000  # half of what httpd takes as the first line of a request
_LEAST = 1000  # a shorter list is repeated before it is shuffled, so that no short pattern comes again and again
_CGI = "/cgi-bin/"
_WEIGHTED = re.compile(rb"(?:(?P<weight>[0-9]{1,6})[ \t]+)?(?P<target>(?:https?://[^/\s]*)?/.*)")
_LOGGED = re.compile(
    rb'[^"\[]*\[[^\]"]*\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3})(?: .*)?'
)  # the common and the combined format, with a virtual host in front or not
_REQUEST = re.compile(rb"(?P<method>[^ ]+) (?P<target>[^ ]+) HTTP/[0-9.]+")
_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))")
_HOST = re.compile(rb"https?://[^/?#]*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(rb"[^A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]")


@dataclass(frozen=True, slots=True)
class RequestList:
    """The requests of a load in the order in which they are sent, again and again."""

    uris: tuple[str, ...]
    said: str  # what was made of the file, in words

    @property
    def text(self) -> bytes:
        """Return it as drivers read it: a URI a line."""
        return "".join(f"{uri}\n" for uri in self.uris).encode("ascii")


def parse(data: bytes, where: str, scripts: Collection[str]) -> RequestList:
    """Return the requests for `scripts`, which are the names that the server has below /cgi-bin/.

    A file with weights may ask for nothing else, and is shuffled, always in the same way. A log keeps its own order;
    what else is in it is left out, and counted. Raises `SpecError` with the line that is wrong.
    """
    lines = [(n, line.rstrip(b"\r")) for n, line in enumerate(data.split(b"\n"), 1)]
    lines = [(n, line) for n, line in lines if line.strip() and not line.startswith(b"#")]
    if not lines:
        raise SpecError("the file names no request", where=where, fix=f"write lines such as: 3 {_example(scripts)}?a=1")
    if _LOGGED.fullmatch(lines[0][1]):
        return _of_log((line for _, line in lines), where, scripts)
    return _weighted(lines, where, scripts)


def _weighted(lines: Iterable[tuple[int, bytes]], where: str, scripts: Collection[str]) -> RequestList:
    weights: Counter[str] = Counter()
    for number, line in lines:
        at = f"{where}, line {number}"
        found = _WEIGHTED.fullmatch(line.strip())
        if found is None:
            shown = line[:60].decode("utf-8", "replace")
            raise SpecError(f"`{shown}` is no request", where=at, fix=f"write it as: 3 {_example(scripts)}?a=1")
        if _CONTROL.search(found["target"]):
            raise SpecError("the path holds a control character", where=at, fix="remove it, or write it as %XX")
        uri = _uri(found["target"])
        weight = int(found["weight"] or 1)
        if weight < 1 or len(uri) > LONGEST_BYTES:
            what = "a weight is 1 or more" if weight < 1 else f"a path has at most {LONGEST_BYTES} bytes"
            raise SpecError(what, where=at)
        name = _script(uri)
        if name not in scripts:
            raise _not_served(uri, name, scripts, at)
        weights[uri] += weight
    total = weights.total()
    if total > MOST_REQUESTS:
        raise SpecError(
            f"the weights add up to {total:,}; at most {MOST_REQUESTS:,} requests make a list",
            where=where,
            fix="divide them by a common number",
        )
    uris = [uri for uri, weight in weights.items() for _ in range(weight)] * -(-_LEAST // total)
    own = hashlib.sha256("\n".join(uris).encode()).hexdigest()
    random.Random(own).shuffle(uris)  # noqa: S311 -- an order, not a secret
    return RequestList(tuple(uris), f"{len(weights):,} different requests by their weights")


def _of_log(lines: Iterable[bytes], where: str, scripts: Collection[str]) -> RequestList:
    uris: list[str] = []
    left_out: Counter[str] = Counter()
    for line in lines:
        why, uri = _logged(line, scripts)
        if not why and len(uris) == MOST_REQUESTS:
            why = f"after the first {MOST_REQUESTS:,}"
        if why:
            left_out[why] += 1
        else:
            uris.append(uri)
    counted = ", ".join(f"{count:,} {why}" for why, count in left_out.most_common())
    if not uris:
        raise SpecError(
            f"the log has no request for {_example(scripts)}: left out were {counted}",
            where=where,
            fix=f"take a log whose requests are GET {_example(scripts)}..., answered with 2xx or 3xx",
        )
    told = f"; left out: {counted}" if counted else ""
    return RequestList(tuple(uris), f"{len(uris):,} requests of an access log in its order{told}")


def _logged(line: bytes, scripts: Collection[str]) -> tuple[str, str]:
    """Return why a line of a log is left out, "" where it is not, and what it asked for."""
    found = _LOGGED.fullmatch(line)
    asked = _REQUEST.fullmatch(found["request"]) if found else None
    if found is None or asked is None:
        return "that cannot be read", ""
    if asked["method"] != b"GET":
        return "not GET", ""
    if found["status"][:1] not in (b"2", b"3"):
        return "not answered with 2xx or 3xx", ""
    target = _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else m[2], asked["target"])
    uri = _uri(target)
    if _CONTROL.search(target) or len(uri) > LONGEST_BYTES:
        return "with control characters, or too long", ""
    return ("", uri) if _script(uri) in scripts else ("for other paths", "")


def _uri(target: bytes) -> str:
    """Return path and query alone, with everything that a request's first line may not hold as %XX."""
    without = _HOST.sub(b"", target, count=1).partition(b"#")[0]
    return _UNSAFE.sub(lambda m: b"%%%02X" % m[0][0], without).decode("ascii")


def _script(uri: str) -> str:
    """Return the name of the script that a URI asks for, "" where it is none below /cgi-bin/."""
    path = uri.partition("?")[0]
    return path.removeprefix(_CGI).partition("/")[0] if path.startswith(_CGI) else ""


def _example(scripts: Collection[str]) -> str:
    return f"{_CGI}{min(scripts)}"


def _not_served(uri: str, name: str, scripts: Collection[str], where: str) -> SpecError:
    if not name:
        shown = uri if len(uri) <= 60 else f"{uri[:60]}..."  # noqa: PLR2004 -- fits into a line
        return SpecError(f"`{shown}` is no script of the server", where=where, fix=f"use {_example(scripts)}")
    return hints.unknown(f"the server has below {_CGI} no script", name, scripts, where)
