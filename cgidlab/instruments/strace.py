"""instruments/strace.txt: what `strace -f -ttt -T -e trace=connect` says of connect() to the cgid socket."""

import re
from dataclasses import dataclass

from cgidlab.arrays import Ints, np
from cgidlab.instruments.base import Evidence, Instrument
from cgidlab.instruments.gauges import percentile_ms
from cgidlab.model import Figures

FILE = "strace.txt"

# Linux's numbers: the log may be read on another system.
_ERRNOS = {"EPERM": 1, "ENOENT": 2, "EINTR": 4, "EAGAIN": 11, "EACCES": 13, "ECONNREFUSED": 111, "ERESTARTSYS": 512}
_UNKNOWN_ERRNO = 4095  # the largest that Linux can return

_LINE = re.compile(
    rb"(?P<tid>\d+) +(?P<s>\d{1,9}|[1-8]\d{9})\.(?P<us>\d{6}) (?:"
    rb"connect\(\d+, \{sa_family=(?P<family>\w+)(?:, sun_path=@?\"(?P<path>[^\"]*)\")?[^}]*\}, \d+"
    rb"|(?P<resumed><\.\.\. connect resumed>))"
    rb"(?:(?P<unfinished> <(?:unfinished|detached) \.\.\.>|\) += \? <unavailable>)"
    rb"|\) += (?P<result>-?\d{1,9}|\?)(?: (?P<errno>E\w+)(?: \([^)]*\))?)? <(?P<took_s>\d{1,6})\.(?P<took_us>\d{6})>)"
)
_NO_CALL = re.compile(rb"\d+ +\d+\.\d{6} (?:---|\+\+\+) ")  # a signal, or a thread's end


@dataclass(frozen=True, slots=True)
class StracedConnects:
    """One entry a connect() to the socket, placed at its end, in the order of the log."""

    bad_lines: int
    end_ns: Ints  # since 1970
    duration_us: Ints
    result: Ints  # 0 or a negative errno


def parse_strace(data: bytes, prefix: str) -> StracedConnects:
    """Return the calls to unix sockets whose path begins with `prefix`.

    A call that strace printed in two parts counts once, by its end; one that had not
    returned when strace ended has no entry. A last line without its newline is bad: it may be cut.
    """
    whole, _, cut = data.rpartition(b"\n")
    rows: list[tuple[int, int, int]] = []
    out: set[bytes] = set()  # threads in a call to the socket that strace printed the begin of
    bad = 1 if cut else 0
    for line in whole.split(b"\n") if whole else ():
        match = _LINE.fullmatch(line)
        if match is None:
            bad += _NO_CALL.match(line) is None
            continue
        if match["resumed"] and match["unfinished"]:
            out.discard(match["tid"])  # its thread ended in it
            continue
        if match["resumed"]:
            ours = match["tid"] in out
            out.discard(match["tid"])
        else:
            ours = match["family"] == b"AF_UNIX" and (match["path"] or b"").startswith(prefix.encode())
            if ours and match["unfinished"]:
                out.add(match["tid"])
        if not ours or match["unfinished"]:
            continue
        at_ns = int(match["s"]) * 1_000_000_000 + int(match["us"]) * 1000
        took_us = int(match["took_s"]) * 1_000_000 + int(match["took_us"])
        failed = (match["errno"] or b"").decode()
        result = -_ERRNOS.get(failed, _UNKNOWN_ERRNO) if failed else 0
        rows.append((at_ns if match["resumed"] else at_ns + took_us * 1000, took_us, result))
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return StracedConnects(bad, *(np.ascontiguousarray(c) for c in columns))


class Strace(Instrument):
    """strace of connect() on the workers. Costs much of the throughput; here so that the cost can be measured.

    No witness that a verdict rests on.
    """

    name = "strace"
    on_by_default = False
    observes = False

    def figures(self, evidence: Evidence) -> Figures:
        """Return the times of connect() to the cgid socket as strace saw them end in the window."""
        data = evidence.data(self.name, FILE)
        if data is None:
            return Figures()
        socket = evidence.result.server.socket if evidence.result.server else ""
        if not socket:
            evidence.note(self.name, "the cgid socket's path is not known")
            return Figures()
        # A restarted daemon appends its own pid to the same name.
        calls = parse_strace(data, socket.rpartition(".")[0])
        window, clock = evidence.window, evidence.result.clock
        begin, end = (clock.to_realtime_ns(edge) for edge in (window.begin_ns, window.end_ns))
        inside = (calls.end_ns >= begin) & (calls.end_ns < end)
        duration = calls.duration_us[inside]
        if calls.bad_lines:
            evidence.note(self.name, f"{calls.bad_lines} lines of {FILE} cannot be read")
        return Figures(
            strace_connects=len(duration),
            strace_connect_p99_us=percentile_ms(duration, 0.99) * 1000 if len(duration) else None,
            strace_connect_max_us=float(duration.max()) if len(duration) else None,
            strace_connects_failed=int((calls.result[inside] < 0).sum()),
        )
