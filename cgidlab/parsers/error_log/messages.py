"""What a line's words say: which message of mod_cgid, with which error, which event around it, whose queue was full.

The texts and numbers were read in the sources: mod_cgid.c, cgi_common.h, the MPMs and
proxy_util.c of httpd 2.2 and 2.4, mod_wsgi, nginx, uWSGI and php-fpm. They are found wherever
they stand in a line, since an ErrorLogFormat puts them anywhere.
"""

import re
from typing import NamedTuple

from cgidlab.parsers.error_log.errnos import FULL, Errno

RETRY = "AH01256"
TIMED_OUT = "Script timed out"  # the one message of interest that has no number
LISTED = (
    *(f"AH{n}" for n in ("01239", "01243", "01244", "01245", "01252", "01256", "01257", "01258")),
    *(f"AH{n}" for n in ("02833", "10245", "10246", "01259", "01260")),
    TIMED_OUT,
)
"""Messages that are always in `ErrorLog.messages`, with 0 if they were not found; others only if found."""

ANSWERED_503 = ("AH01257", "AH01258", "AH02833", "AH10176", "AH10245", "AH10246")
# mod_cgid's alone, and two that it shares with mod_cgi: counted where a line names no module
_OWN = {1215, 1220, *range(1238, 1271), 2833, 10176, 10245, 10246, 10423}

TEXTS_OF_22 = {
    b"unable to connect to cgi daemon after multiple tries": "AH01257",
    b"cgid daemon is gone; is Apache terminating?": "AH01258",
    b"cgid daemon process died, restarting": "AH01239",
    b"cgid daemon failed to initialize": "AH01238",
    b"Couldn't unlink unix domain socket ": "AH01240",
    b"Couldn't create unix domain socket": "AH01242",
    b"Couldn't bind unix domain socket ": "AH01243",
    b"Couldn't set permissions on unix domain socket ": "AH01244",
    b"Couldn't listen on unix domain socket": "AH01245",
    b"Couldn't change owner of unix domain socket ": "AH01246",
    b"Error accepting on cgid socket": "AH01247",
    b"Error reading request on cgid socket": "AH01248",
    b"CGI request received from wrong server instance": "AH01249",
    b"couldn't set child process attributes: ": "AH01251",
    b"couldn't create child process: ": "AH01252",  # mod_cgi of 2.2 writes the same words
    b"mod_cgid: Couldn't spawn cgid daemon process": "AH01253",
    b"unable to create socket to cgi daemon": "AH01255",
    b"daemon couldn't find CGI process for connection ": "AH01261",
    TIMED_OUT.encode(): TIMED_OUT,
}

_KINDS = {  # of events, by the numbers of httpd's messages
    "resumed": (163, 292, 489),
    "started": (94,),
    "graceful_restart": (171, 297, 493),
    "restart": (173, 298, 494),
    "stopped": (169, 295, 491),
    "graceful_stop": (170, 296, 492),
    "daemon_died": (1239,),
    "daemon_failed": (1238, 1243, 1244, 1245, 1253),
    "max_request_workers": (161, 286, 288, 484, 485, 3490),
    "near_max_request_workers": (287, 10159),
    "fork_failed": (159, 283, 481, 1223, 1227, 1241, 1252),
    "crashed": (50, 51, 52, 60),
    "output_timeout": (1220,),
}
_KIND = {number: kind for kind, numbers in _KINDS.items() for number in numbers}
_EVENT_TEXTS = {  # where there is no number: httpd 2.2, systemd, the kernel, php-fpm
    b"resuming normal operations": "resumed",
    b"Doing graceful restart": "graceful_restart",
    b"Graceful restart requested, doing restart": "graceful_restart",
    b"SIGHUP received.  Attempting to restart": "restart",
    b"caught SIGTERM, shutting down": "stopped",
    b"shutting down gracefully": "graceful_stop",
    b"server reached MaxClients setting": "max_request_workers",
    b"server reached MaxRequestWorkers setting": "max_request_workers",
    b"Unable to fork new process": "fork_failed",
    b"couldn't spawn child process": "fork_failed",
    b"exit signal Segmentation fault": "crashed",
    b"server reached pm.max_children": "php_fpm_busy",
    b"Out of memory: Kill": "oom_kill",
    b"killed by the OOM killer": "oom_kill",
}
_SYSTEMD = re.compile(
    rb"(Reload|Restart|Start|Stopp)(?:ing|ed) (?:\S+ - )?(?:The Apache|LSB: Apache2?|Apache|httpd|apache2)"
)
_DENIED = re.compile(
    rb"avc: {1,3}denied {1,3}\{ ?(?:connectto|write|search|read|create|unlink)[^}]{0,80}\}.*(?:httpd|apache|cgisock)"
)
_SERVICE = {
    b"Reload": "service_reload",
    b"Restart": "service_restart",
    b"Start": "service_start",
    b"Stopp": "service_stop",
}

# one of these is in every text above and in every foreign message below: finding them at once is faster than a
# pattern on each line
NEEDLES = (
    *(b"cgi daemon", b"cgid", b"unix domain socket", b"CGI process", b"CGI request", b"child process"),
    *(
        b"resuming normal",
        b"raceful restart",
        b"SIGHUP received",
        b"shutting down",
        b"MaxClients",
        b"MaxRequestWorkers",
    ),
    *(
        b"fork new",
        b"exit signal",
        b"max_children",
        b"ut of memory",
        b"OOM killer",
        b"The Apache HTTP",
        b"LSB: Apache",
        b"avc:",
    ),
    *(b"emporarily unavailable", b"EAGAIN", b"listen queue of", b"listener backlog", b"WSGI daemon"),
    *(b"message repeated ", b'"MESSAGE":[', b'"MESSAGE" : [', TIMED_OUT.encode()),
)
NUMBERS = frozenset({*_OWN, *_KIND, 2454})

_BEGINNING = 300
_ACCESS = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \\*\"")
_NUMBER = re.compile(rb"(?<![\w/=?&%])AH(\d{5}): ?")
_TAG = re.compile(rb"\[([\w.\-]*):(?:emerg|alert|crit|error|warn|notice|info|debug|trace\d)\]")
_TEXT = re.compile(
    rb"connect #(?P<attempt>\d{1,9}) to cgi daemon failed"
    rb"|CGI process \d+ didn't exit, sending SIGKILL(?P<again> again)?"
    rb"|(?P<text>" + b"|".join(re.escape(t) for t in TEXTS_OF_22) + rb")"
)
_ATTEMPT = re.compile(rb"connect #(\d{1,9}) to cgi daemon failed")
_ERROR = re.compile(rb"(?<![\w.])\((\d{1,6})(?:\) ?([A-Za-z][^:\[\]\n()]{0,60})?|: ([A-Za-z][^:\[\]\n()]{0,60})\))")
_THREAD = re.compile(rb"\[pid ([^\]\n]{1,80})\]")
_REQUEST = re.compile(rb"\[(?:request |R:)([^\]\n]{1,80})\]")
_CLIENT = re.compile(rb"\[(?:client|remote) ([^\]\n]{1,80})\]")

_QUEUE = re.compile(rb"listen queue of socket (?:[\\\"']*([^\s\"'\\]{1,200})[\\\"']*).{0,60}full")
_WSGI = re.compile(
    rb"WSGI daemon process .{0,200}? on '([^'\n]{1,200})'.{0,60}(?:listener backlog|sleeping before retry)"
)
_BUSY = re.compile(rb"resource temporarily unavailable|EAGAIN", re.IGNORECASE)
_CONNECT = re.compile(rb"connect|dial unix", re.IGNORECASE)
_NO_CONNECT = re.compile(rb"\b(?:recv|recvmsg|read|readv|write|writev|send|sendmsg|fork|accept4?)\(\)")
_SOCKET = re.compile(
    rb"unix:(?://)?([^\s\"'|,)\\:]{1,200})|(?:unix domain socket|dial unix|socket:?|EAGAIN) (@?/[^\s\"',:\\]{1,200})"
    rb"|[\s\"'(](/[^\s\"',:\\]{1,200}\.sock[^\s\"',:\\]{0,50})",
    re.IGNORECASE,
)


class Said(NamedTuple):
    """What one line says. A plain tuple: there may be millions."""

    name: str = ""  # a message of mod_cgid
    error: Errno | None = None
    attempt: bytes | None = None
    request: object = None  # tells requests apart; None for what is no retry
    kind: str = ""  # an event
    socket: str | None = None  # whose full queue another program met; "" where the line does not say


def event_of(name: str) -> str:
    """Return the kind of event that a message of mod_cgid is, "" for none."""
    if name == TIMED_OUT:
        return "script_timeout"
    if name in ANSWERED_503:
        return "answered_503"
    return _KIND.get(int(name[2:]), "") if name.startswith("AH") else ""


def read(line: bytes) -> Said:
    """Return what a line says, wherever in it that stands; `Said()` if it is nothing of interest."""
    if _ACCESS.search(line, 0, _BEGINNING):
        return Said()  # an access_log, which holds what clients say
    number = _NUMBER.search(line)
    start = number.start() if number else len(line)
    tag = _TAG.search(line, 0, start)
    module = tag[1] if tag else b""
    ours = module in (b"cgid", b"", b"-")
    if number:
        n = int(number[1])
        if module == b"cgid" or (ours and n in _OWN):
            return _message(line, f"AH{n:05d}", number.start(), number.end())
        if n in _KIND and (module != b"cgid"):
            return Said(kind=_KIND[n])
    elif ours and (text := _TEXT.search(line)):
        name = _name(text)
        return _message(line, name, text.start(), text.end())
    socket = full_queue(line)
    if socket is not None:
        return Said(socket=socket, kind="unix_queue_full")
    return Said(kind="" if number else _event(line))


def full_queue(line: bytes) -> str | None:
    """Return the socket of another program's listener whose queue a line calls full, "" without one, None for none."""
    if found := _QUEUE.search(line):
        return found[1].decode(errors="replace")
    errors = [_error(e) for e in _ERROR.finditer(line)]
    if found := _WSGI.search(line):
        # the same words are written where nobody listens: then the error says so
        full = not errors or any(e.name == FULL for e in errors)
        return found[1].decode(errors="replace") if full else None
    busy = _BUSY.search(line) or any(e.name == FULL for e in errors)
    if not busy or not _CONNECT.search(line) or _NO_CONNECT.search(line):
        return None
    path = _SOCKET.search(line)
    return next(filter(None, path.groups())).decode(errors="replace") if path else None


def _message(line: bytes, name: str, start: int, end: int) -> Said:
    before = [_error(e) for e in _ERROR.finditer(line, 0, start)]
    after = [e for e in map(_error, _ERROR.finditer(line, end)) if not e.name.isdigit()]
    error = before[-1] if before else after[0] if after else None
    if name != RETRY:
        return Said(name, error, kind=event_of(name))
    attempt = _ATTEMPT.search(line, start)
    request, thread, client = (p.search(line, 0, start) for p in (_REQUEST, _THREAD, _CLIENT))
    known = request and request[1] != b"-"
    who: object = request[1] if known and request else (thread and thread[1], client and client[1])
    return Said(name, error, attempt and attempt[1], who)


def _name(text: re.Match[bytes]) -> str:
    if text["attempt"]:
        return RETRY
    return TEXTS_OF_22[text["text"]] if text["text"] else "AH01260" if text["again"] else "AH01259"


def _error(found: re.Match[bytes]) -> Errno:
    return Errno(found[1], (found[2] or found[3] or b"").strip())


def _event(line: bytes) -> str:
    for text, kind in _EVENT_TEXTS.items():
        if text in line:
            return kind
    if found := _SYSTEMD.search(line):
        return _SERVICE[found[1]]
    return "denied_by_selinux" if _DENIED.search(line) else ""
