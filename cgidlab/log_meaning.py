"""What an error_log means: at most ten lines for somebody who has a few lines of a log and a question."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from cgidlab.parsers.error_log import RETRY, TIMED_OUT, LogCounts, Retries
from cgidlab.parsers.error_log.messages import ANSWERED_503
from cgidlab.parsers.error_log.wrappings import STRANGE
from cgidlab.starting import command
from cgidlab.terminal import printable

MOST_LINES = 10
_EXAMPLE = 100
_SHOWN_MINUTES = 3
_DEFAULT_ATTEMPTS = 15
_OBSERVE = command("observe --duration 60")
_LATE_S = 40  # a worker retries for 32 s
_RETRIES = ("retry_refused", "retry_missing", "retry_other")
_RESTARTS = {  # in the order in which they explain the others
    "graceful_restart": "a graceful restart",
    "service_reload": "a reload",
    "restart": "a restart",
    "service_restart": "a restart",
    "graceful_stop": "a graceful stop",
    "stopped": "a stop of httpd",
    "service_stop": "a stop of httpd",
    "daemon_died": "a death of the cgid daemon",
    "resumed": "a start of httpd",
    "started": "a start of httpd",
    "service_start": "a start of httpd",
}
_HAPPENED = {
    "graceful_restart": "graceful restarts",
    "restart": "restarts",
    "stopped": "stops",
    "graceful_stop": "graceful stops",
    "resumed": "starts or resumptions",
    "daemon_died": "deaths of the cgid daemon",
    "daemon_failed": "failures to start the cgid daemon",
    "max_request_workers": "times all workers busy (MaxRequestWorkers)",
    "fork_failed": "failed forks",
    "crashed": "crashes of children",
    "script_timeout": "scripts that timed out",
    "output_timeout": "scripts that timed out",
    "php_fpm_busy": "times all children of php-fpm busy",
    "oom_kill": "kills for lack of memory",
    "denied_by_selinux": "denials by SELinux",
    "service_reload": "reloads by systemd",
    "service_restart": "restarts by systemd",
    "service_start": "starts by systemd",
    "service_stop": "stops by systemd",
    "answered_503": "503s",
    "unix_queue_full": "full queues of other listeners",
}
_GONE = "the socket's file was not there: httpd was restarting, it was removed, or never bound (AH01243)."
_MAY_NOT = "httpd's children may not use the socket: its own mode or owner, its directory's, or SELinux."
_NO_PART = "The permissions of the script play no part."
_NOBODY = "the socket was there and nobody listened: the cgid daemon had died or was being replaced."
_MEANING = {  # of an error that mod_cgid met, and what to do
    "ECONNREFUSED": (
        f"{_NOBODY} On Linux a full queue never refuses.",
        (
            "look for AH01239 and the OOM killer at that time; "
            f"`{command('experiments/daemon-restart.yml')}` shows its cost."
        ),
    ),
    "ENOENT": (
        f"{_GONE} The queue was not full.",
        "look for a reload, a clean-up of the socket's directory or AH01243 then; ScriptSock says where it is.",
    ),
    "EACCES": (
        f"{_MAY_NOT} {_NO_PART}",
        "`ls -lZ` on the socket of ScriptSock and its directory, and `ausearch -m avc -ts recent`.",
    ),
    "EPERM": (
        f"a security module forbids httpd's children the socket. {_NO_PART}",
        "look for denials of SELinux or AppArmor in the kernel's log.",
    ),
    "EAGAIN": (
        "a client that does not wait met a full queue: the daemon was too slow for what came.",
        (
            "raise DEFAULT_CGID_LISTENBACKLOG and net.core.somaxconn; "
            f"`{command('experiments/backlog-sweep.yml')}` tries it."
        ),
    ),
    "EINVAL": (
        "mod_cgid has no socket in this process: it was loaded by a reload, and its daemon was never started.",
        "stop httpd and start it; a reload is not enough after LoadModule.",
    ),
    "EINTR": (
        "a signal ended a worker's sleep in connect(): on Linux it sleeps there only while the queue is full.",
        f"`{_OBSERVE}` shows how full the queue is.",
    ),
    "EMFILE": ("httpd's process had no file descriptor left.", "raise the limit of open files of httpd's service."),
    "ENFILE": ("the host had no file descriptor left.", "raise fs.file-max, or find what holds them."),
}
_REFUSED_ELSEWHERE = (
    "there a full queue refuses, and so does a dead daemon: without AH01239 or a restart beside it the queue was full.",
    "raise DEFAULT_CGID_LISTENBACKLOG and the system's limit of listen queues (kern.ipc.soacceptqueue on FreeBSD).",
)
_NO_EVIDENCE = (
    "No retry line is no evidence against a full queue: on Linux connect() sleeps there and writes nothing, "
    "and the line is written at LogLevel debug only."
)


def explain(log: LogCounts, zone: tzinfo, *, windowed: bool) -> list[str]:
    """Return what a log says and means, at most `MOST_LINES` lines. Times are shown in `zone`."""
    if not log.lines:
        return ["The log is empty: nothing was written, or it is not the log that httpd writes."]
    first = [_read(log, windowed=windowed), _retries(log, windowed=windowed), *_answers(log), *_around(log, zone)]
    last = [*_neighbours(log), *_timeouts(log)]
    if not log.messages[RETRY]:
        last.append(_NO_EVIDENCE)
    last.append(f"Next: {_next(log)}")
    return [*first, *_causes(log, MOST_LINES - len(first) - len(last)), *last]


def unreadable(log: LogCounts) -> list[str]:
    """Return one sentence for each file in which no line is of a known kind."""
    return [
        f"{file.name}: this is no error log that I can read: {file.lines} lines, none of a known kind"
        + (f"; the first: {_shown(file.example)}" if file.example else "; they are empty, or zeros")
        for file in log.files
        if not file.recognised
    ]


def _read(log: LogCounts, *, windowed: bool) -> str:
    files = f" in {len(log.files)} files" if len(log.files) > 1 else ""
    kinds = [f"{n} {kind}" for kind, n in log.kinds.items()]
    text = f"{log.lines} lines{files}: {', '.join(kinds)}."
    if log.kinds.get(STRANGE) and log.example and log.recognised:
        text += f" Not understood: {_shown(log.example)}"
    if log.cut_lines:
        text += f" Of {log.cut_lines} very long lines only the beginning was read."
    if log.untimed and windowed:
        text += f" {log.untimed} messages bear no time: a window cannot be cut for them, they are in no part of it."
    elif any(e.time_s is None for e in log.timeline.events()):
        text += " Some messages bear no time."
    return text


def _shown(line: bytes) -> str:
    return printable(line.decode(errors="replace").strip())[:_EXAMPLE]


def _retries(log: LogCounts, *, windowed: bool) -> str:
    spans = (
        [("before ", log.before), ("inside ", log.inside), ("after ", log.after)] if windowed else [("", log.inside)]
    )
    names = Counter({e.name: 0 for e in log.by_errno.get(RETRY, {})})
    for error, n in log.by_errno.get(RETRY, {}).items():
        names[error.name] += n
    errors = f" ({_counted(names)})" if names else ""
    return f"Retries: {'; '.join(name + _span(span) for name, span in spans)}{errors}."


def _span(span: Retries) -> str:
    if not span.total:
        return "0"
    attempts = ", ".join(f"#{n} {count}" for n, count in list(span.by_attempt.items())[:_DEFAULT_ATTEMPTS])
    return f"{span.total} of {span.requests} requests, by attempt {attempts or 'not said'}"


def _answers(log: LogCounts) -> list[str]:
    said = []
    for name, n in log.messages.items():
        if n and name != RETRY:
            errors = Counter[str]()
            for error, count in log.by_errno.get(name, {}).items():
                errors[f"{error.name} ({error.number.decode()})"] += count
            of = f" [{_counted(errors)}]" if errors else ""
            said.append((name not in ANSWERED_503, f"{name} {n}{of}"))
    total = sum(log.messages.get(name, 0) for name in ANSWERED_503)
    if not said:
        return ["None of mod_cgid's other messages."]
    return [f"Answers of 503: {total}. Messages: {', '.join(text for _, text in sorted(said))}."]


def _counted(names: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in Counter(names).most_common())


def _around(log: LogCounts, zone: tzinfo) -> list[str]:
    """Return when it happened, and around what."""
    minutes: dict[int, Counter[str]] = {}
    for event in log.timeline.events():
        if event.time_s is not None and event.kind != "started":
            minutes.setdefault(event.time_s, Counter())[_word(event.kind)] += event.times
    if not minutes:
        return []
    asked = Counter({at: sum(n for word, n in c.items() if word in ("retries", "503s")) for at, c in minutes.items()})
    worst = sorted(at for at, _ in asked.most_common(_SHOWN_MINUTES))
    said = [f"{_minute(at, zone)} {_events(minutes[at])}" for at in worst]
    more = f"; {len(minutes) - len(worst)} more minutes" if len(minutes) > len(worst) else ""
    return [f"By minute ({'UTC' if zone is UTC else zone}): {'; '.join(said)}{more}.", *_near(log)]


def _word(kind: str) -> str:
    return "retries" if kind in _RETRIES else _HAPPENED.get(kind, kind.replace("_", " "))


def _events(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {word}" for word, n in counts.items())


def _minute(at: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M")


def _near(log: LogCounts) -> list[str]:
    """Return whether the retries belong to restarts."""
    total = log.timeline.total(_RETRIES)
    if not total:
        return []
    what = "retries with ENOENT" if log.timeline.total(_RETRIES[1:2]) == total else "retries"
    for within_s in (2, 10, _LATE_S):
        for kinds in (*((kind,) for kind in _RESTARTS), tuple(_RESTARTS)):
            near = log.timeline.near(_RETRIES, kinds, within_s)
            if near == total:
                cause = _RESTARTS[kinds[0]] if len(kinds) == 1 else "a restart or a death of the daemon"
                why = "the socket was gone, the queue was not full" if "ENOENT" in what else "nobody listened then"
                return [f"All {total} {what} lie within {max(within_s, log.timeline.step_s)} s of {cause}: {why}."]
    near = log.timeline.near(_RETRIES, tuple(_RESTARTS), _LATE_S)
    rest = "the others have another cause" if near else "no restart is in this log"
    return [f"{near} of {total} {what} lie within {_LATE_S} s of a restart or a death of the daemon: {rest}."]


def _errors(log: LogCounts) -> list[str]:
    """Return the names of the errors that mod_cgid's workers met, the most frequent first."""
    met: Counter[str] = Counter()
    for name in (RETRY, *ANSWERED_503):
        for error, n in log.by_errno.get(name, {}).items():
            met[error.name] += n
    return [name for name, _ in met.most_common() if name in _MEANING]


def _meaning(log: LogCounts, name: str) -> tuple[str, str]:
    elsewhere = name == "ECONNREFUSED" and log.system not in ("", "Linux")
    return _REFUSED_ELSEWHERE if elsewhere else _MEANING[name]


def _causes(log: LogCounts, most_lines: int) -> list[str]:
    """Return what the errors mean, the most frequent first, each in a line as far as there is room."""
    said = []
    if log.system not in ("", "Linux"):
        said.append(f"The numbers of the errors look like {log.system}.")
    given_up = log.errors_named("AH01257", "ECONNREFUSED")
    if given_up and not log.messages[RETRY]:
        said.append(
            f"Each AH01257 that was refused ({given_up}) proves {_DEFAULT_ATTEMPTS - 1} retries before it "
            "(DEFAULT_CONNECT_ATTEMPTS - 1): LogLevel hid their lines."
        )
    names = _errors(log)
    room = most_lines - len(said)
    shown = names if len(names) <= room else names[: max(room - 1, 0)]
    said += [f"{name}: {_meaning(log, name)[0]}" for name in shown]
    if len(shown) < len(names):
        said.append(f"{', '.join(names[len(shown) :])}: docs/logs.md has the cause and the remedy of each.")
    return said


def _neighbours(log: LogCounts) -> list[str]:
    total = sum(log.queue_full.values())
    if not total:
        return []
    where = ", ".join(f"{socket or 'not named'} {n}" for socket, n in Counter(log.queue_full).most_common(3))
    return [f"Another listener's queue was full, not mod_cgid's: {_count(total, 'time')} ({where})."]


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _timeouts(log: LogCounts) -> list[str]:
    late = max(log.timeline.total(["script_timeout"]), log.timeline.total(["output_timeout"]))
    said = []
    if late:
        verb = "was" if late == 1 else "were"
        said.append(
            f"{_count(late, 'script')} {verb} too slow ({TIMED_OUT}): a script's own time, and not the queue's."
        )
    if forks := log.timeline.total(["fork_failed"]):
        said.append(f"{_count(forks, 'fork')} failed: the limit of processes or memory, not the queue.")
    return [" ".join(said)] if said else []


def _next(log: LogCounts) -> str:
    for name in _errors(log)[:1]:
        return _meaning(log, name)[1]
    if log.queue_full:
        socket = next((s for s in Counter(log.queue_full).most_common() if s[0].startswith(("/", "@"))), None)
        watch = f"`{_OBSERVE} --socket {socket[0]}`" if socket else f"`{_OBSERVE}`"
        return f"more workers behind that socket, or a longer backlog and net.core.somaxconn; {watch} shows it."
    if log.messages[TIMED_OUT] or log.timeline.total(["output_timeout"]):
        return f"make the scripts faster, or raise CGIDScriptTimeout or Timeout; `{_OBSERVE}` shows the queue."
    return f"`{_OBSERVE}` on that host while it is slow: it sees the queue and sleeping workers, without a debug log."
