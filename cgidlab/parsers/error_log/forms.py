"""The forms of mod_cgid's lines: where a time ends, what follows it, and which text has which number."""

import re
from dataclasses import dataclass

RETRY = "AH01256"
TIMED_OUT = "Script timed out"  # the one message of interest that has no number
LISTED = (
    *(f"AH{n}" for n in ("01239", "01243", "01244", "01245", "01252", "01256", "01257", "01258")),
    *(f"AH{n}" for n in ("02833", "10245", "10246", "01259", "01260")),
    TIMED_OUT,
)
"""Messages that are always in `ErrorLog.messages`, with 0 if they were not found; others only if found."""

# A line is a time in brackets, of one of four widths, then another bracket:
# "[...] [cgid:debug] ..." or, in 2.2, "[...] [debug] ..."
COLON_1, COLON_2 = 14, 17  # offsets of the colons of the time of day, the same in all four
NEWLINE, OPEN, CLOSE, COLON = b"\n[]:"
TAG = b"cgid:"
TAG_AT = len("] [")  # behind the end of the time


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line begins."""

    width: int  # offset of the bracket that closes the time
    ctime: bool  # "Mon Nov 23 15:04:05.123456 2026", else "2026-11-23 15:04:05.123456"
    microseconds: bool


OF_22 = Layout(25, ctime=True, microseconds=False)  # 2.4 writes it too, if told to
LAYOUTS = (
    Layout(27, ctime=False, microseconds=True),
    Layout(32, ctime=True, microseconds=True),
    OF_22,
    Layout(20, ctime=False, microseconds=False),
)
# both begin behind "[time] "; possessive quantifiers because a line is matched in one way or not at all
MODERN = re.compile(
    rb"\[cgid:\w++\] (?P<thread>\[pid [^\]\n]*+\] )?(?:\[request (?P<request>[^\]\n]*+)\] )?"
    rb"(?:[\w.]++\(\d++\): )?(?:-: )?(?:\((?P<errno>\d++)\)[^\[:\n]*+: )?"
    rb"(?:\[(?:client|remote) (?P<client>[^\]\n]*+)\] )?(?:(?P<number>AH\d{5}): )?"
    rb"(?:connect #(?P<attempt>\d{1,9}+) to cgi daemon failed|(?P<timed_out>Script timed out))?"
)
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
OLD = re.compile(
    rb"\[\w++\] (?:[\w.]++\(\d++\): )?(?:\[client (?P<client>[^\]\n]*+)\] )?(?:\((?P<errno>\d++)\)[^\[:\n]*+: )?(?:"
    rb"connect #(?P<attempt>\d{1,9}+) to cgi daemon failed"
    rb"|CGI process \d++ didn't exit, sending SIGKILL(?P<again> again)?"
    rb"|(?P<text>" + b"|".join(re.escape(t) for t in TEXTS_OF_22) + rb"))"
)
# one of these is in every text of 2.2: finding them at once is faster than a pattern on each line
NEEDLES_OF_22 = (
    *(b"cgi daemon", b"cgid", b"unix domain socket", b"CGI process", b"CGI request", b"child process"),
    TIMED_OUT.encode(),
)
