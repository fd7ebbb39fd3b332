"""The forms of lines that httpd writes into a file of its own: where a time ends, and what follows it."""

import re
from dataclasses import dataclass

# A line is a time in brackets, of one of four widths, then another bracket:
# "[...] [cgid:debug] ..." or, in 2.2, "[...] [debug] ..."
NEWLINE, OPEN, COLON = b"\n[:"


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
MARKS = ((0, OPEN), (14, COLON), (17, COLON))  # where, in all four, and which byte; the colons of the time of day
MINUTE = 18  # of a line: so far it is the same within a minute
# A line of the module from behind "[time] " on, without its newline; it matches any. An alternative of
# nothing is cheaper than a question mark; possessive, because a line is matched in one way or not at all
MODERN = re.compile(
    rb"(?:\[cgid:\w++\] (?:(?P<thread>\[pid [^\]]*+\] )|)(?:\[request (?P<request>[^\]]*+)\] |)"
    rb"(?:[a-zA-Z0-9_.]++\([0-9]++\): |)(?:-: |)(?:\((?P<error>[0-9]++\)[^\[:\n]*+): |)"
    rb"(?:\[(?:client|remote) (?P<client>[^\]]*+)\] |)(?:(?P<number>AH[0-9]{5}): |)"
    rb"(?:connect #(?P<attempt>[0-9]{1,9}+) to cgi daemon failed|(?P<timed_out>Script timed out)|)|)"
)
# a tag behind the time, and modules of which no line is asked about: the eight bytes from the time's end say so
TAG = re.compile(rb"\[(?P<module>[\w.\-]+):(?:emerg|alert|crit|error|warn|notice|info|debug|trace\d)\] ")
ASKED_ABOUT = (b"cgi", b"core", b"mpm_", b"wsgi", b"prox", b"fcgi", b"fast", b"scgi", b"uwsgi", b"unix")
