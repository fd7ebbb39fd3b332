"""The same four lines of httpd, written 2026-05-20 from 10:00:00 to 10:00:03 UTC, in all wrappings that people have."""

import json
from collections.abc import Callable

_CGID = "[cgid:{level}] [pid 3927:tid 140206699169536] "
_CLIENT = "[client 192.0.2.7:58349] "
_REFUSED = "(111)Connection refused: "
WORDS = (  # level, where, error, what
    (
        "debug",
        "mod_cgid.c(1190): ",
        "(111)Connection refused: ",
        "AH01256: connect #1 to cgi daemon failed, sleeping before retry",
    ),
    (
        "debug",
        "mod_cgid.c(1190): ",
        "(111)Connection refused: ",
        "AH01256: connect #2 to cgi daemon failed, sleeping before retry",
    ),
    (
        "error",
        "",
        "(111)Connection refused: ",
        "AH01257: unable to connect to cgi daemon after multiple tries: /cgi-bin/a",
    ),
    ("error", "", "(2)No such file or directory: ", "AH02833: ScriptSock /run/cgisock.22 does not exist: /cgi-bin/a"),
)
MESSAGES = {"AH01256": 2, "AH01257": 1, "AH02833": 1}
FIRST_S = 1779271200  # 2026-05-20 10:00:00 UTC

UNTIMED = [_CGID.format(level=lv) + where + error + _CLIENT + what for lv, where, error, what in WORDS]
PLAIN = [f"[Wed May 20 10:00:0{i}.123456 2026] {text}" for i, text in enumerate(UNTIMED)]


def _each(form: Callable[[int, str], str], lines: list[str] = PLAIN, end: str = "\n") -> bytes:
    return "".join(form(i, line) + end for i, line in enumerate(lines)).encode()


def _json(**fields: object) -> str:
    return json.dumps(fields)


def _us(i: int) -> str:
    return str((FIRST_S + i) * 1_000_000 + 123456)


def _custom(form: str) -> bytes:
    lines = []
    for i, (level, where, error, what) in enumerate(WORDS):
        when, iso = f"Wed May 20 10:00:0{i} 2026", f"2026-05-20 10:00:0{i}.123456"
        lines.append(form.format(t=when, u=iso, l=level, F=where, E=error, M=what, P=3927, a="192.0.2.7:58349"))
    return "".join(line + "\n" for line in lines).encode()


# with a time, the line's own or the wrapper's
TIMED: dict[str, bytes] = {
    "plain": _each(lambda _, s: s),
    "CRLF": _each(lambda _, s: s, end="\r\n"),
    "no final newline": _each(lambda _, s: s)[:-1],
    "byte order mark": b"\xef\xbb\xbf" + _each(lambda _, s: s),
    "UTF-16 little": _each(lambda _, s: s, end="\r\n").decode().encode("utf-16"),
    "UTF-16 big": b"\xfe\xff" + _each(lambda _, s: s).decode().encode("utf-16-be"),
    "UTF-16 without a mark": _each(lambda _, s: s).decode().encode("utf-16-le"),
    "a hole before": bytes(5000) + _each(lambda _, s: s),
    "ISO time": _each(lambda i, s: f"[2026-05-20 10:00:0{i}.123456] {s}", UNTIMED),
    "virtual host in front": _each(lambda _, s: f"[www.example.org] {s}"),
    "virtual host without brackets": _each(lambda _, s: f"www.example.org:443 {s}"),
    "manual: simple": _custom("[{t}] [{l}] [pid {P}] {F}: {E}: [client {a}] {M}"),
    "manual: like 2.2": _custom("[{t}] [{l}] {F}{E}[client {a}] {M} , referer http://h/"),
    "manual: advanced": _custom("[{u}] [cgid:{l}] [R:aGx2kQAAAXk] [C:aGx2kQAAAXk] {F}{E}{M}"),
    "error behind the message": _custom("{u} {l} [client {a}] {M} {E}"),
    "level and module in two brackets": _custom("[{u}] [{l}] [cgid] [{a}] {E}{M}"),
    "request first": _custom('"GET /cgi-bin/a HTTP/1.1" {a} [{t}] {l} {E}{M}'),
    "syslog": _each(lambda i, s: f"May 20 10:00:0{i} web1 apache2[3927]: {s}", UNTIMED),
    "syslog with PRI": _each(lambda i, s: f"<187>May 20 10:00:0{i} web1 httpd[3927]: {s}", UNTIMED),
    "RFC 5424": _each(lambda i, s: f"<187>1 2026-05-20T10:00:0{i}.123456Z web1 apache2 3927 - - {s}", UNTIMED),
    "rsyslog RFC 3339": _each(lambda i, s: f"2026-05-20T12:00:0{i}.123456+02:00 web1 apache2[3927]: {s}", UNTIMED),
    "journalctl": _each(lambda i, s: f"May 20 10:00:0{i} web1 httpd[3927]: {s}"),
    "journalctl with its heading": b"-- Logs begin at Mon 2026-05-18 08:00:00 UTC. --\n"
    + _each(lambda i, s: f"May 20 10:00:0{i} web1 httpd[3927]: {s}"),
    "journalctl -o short-iso": _each(lambda i, s: f"2026-05-20T10:00:0{i}+0000 web1 httpd[3927]: {s}", UNTIMED),
    "journalctl -o short-full": _each(lambda i, s: f"Wed 2026-05-20 10:00:0{i} UTC web1 httpd[3927]: {s}", UNTIMED),
    "journalctl -o short-precise": _each(lambda i, s: f"May 20 10:00:0{i}.123456 web1 httpd[39]: {s}", UNTIMED),
    "journalctl -o short-unix": _each(lambda i, s: f"{FIRST_S + i}.123456 web1 httpd[3927]: {s}", UNTIMED),
    "journalctl -o json": _each(
        lambda i, s: _json(__REALTIME_TIMESTAMP=_us(i), _BOOT_ID="ab", _PID="3927", MESSAGE=s), UNTIMED
    ),
    "journalctl -o json, bytes": _each(
        lambda i, s: json.dumps({"__REALTIME_TIMESTAMP": _us(i), "MESSAGE": list(s.encode())}, separators=(",", ":")),
        UNTIMED,
    ),
    "Docker json-file": _each(
        lambda i, s: _json(log=s + "\n", stream="stderr", time=f"2026-05-20T10:00:0{i}.123456789Z"), UNTIMED
    ),
    "docker logs -t": _each(lambda i, s: f"2026-05-20T10:00:0{i}.123456789Z {s}", UNTIMED),
    "Compose": _each(lambda _, s: f"web_1  | {s}"),
    "Compose in colour": _each(lambda _, s: f"\x1b[36mweb_1  |\x1b[0m {s}"),
    "Compose 2 with times": _each(lambda i, s: f"app-web-1  | 2026-05-20T10:00:0{i}.123456789Z {s}", UNTIMED),
    "Compose around JSON": _each(lambda i, s: "web-1  | " + _json(ts=f"2026-05-20T10:00:0{i}Z", msg=s), UNTIMED),
    "Kubernetes": _each(lambda i, s: f"2026-05-20T10:00:0{i}.123456789Z stderr F {s}", UNTIMED),
    "Kubernetes with an offset": _each(lambda i, s: f"2026-05-20T12:00:0{i}.123456789+02:00 stderr F {s}", UNTIMED),
    "kubectl logs --prefix": _each(lambda _, s: f"[pod/web-7d4b9c/httpd] {s}"),
    "stern": _each(lambda _, s: f"web-7d4b9c httpd {s}"),
    "CSV of Kibana": b'"@timestamp","host","message"\n'
    + _each(lambda i, s: f'"May 20, 2026 @ 10:00:0{i}.123","web1","{s}"', UNTIMED),
    "CSV of CloudWatch": b"timestamp,message\n" + _each(lambda i, s: f'{(FIRST_S + i) * 1000},"{s}"', UNTIMED),
    "CSV of Insights": b"@timestamp,@message\n" + _each(lambda i, s: f"2026-05-20 10:00:0{i}.000,{s}", UNTIMED),
    "JSON lines of ECS": _each(
        lambda i, s: _json(**{"@timestamp": f"2026-05-20T10:00:0{i}.123Z", "message": s, "log": {"level": "e"}}),
        UNTIMED,
    ),
    "JSON lines, the message twice": _each(
        lambda i, s: _json(message=s, event={"original": s}, timestamp=(FIRST_S + i) * 1000), UNTIMED
    ),
    "JSON lines of Google": _each(lambda i, s: _json(textPayload=s, timestamp=f"2026-05-20T10:00:0{i}Z"), UNTIMED),
    "JSON in Docker's JSON": _each(
        lambda i, s: _json(log=_json(ts=f"2026-05-20T10:00:0{i}Z", message=s) + "\n", stream="stdout"), UNTIMED
    ),
    "one JSON document": json.dumps(
        {"events": [{"timestamp": (FIRST_S + i) * 1000, "message": s} for i, s in enumerate(UNTIMED)]}
    ).encode(),
    "JSON, indented": json.dumps([{"time": "x", "message": s} for s in PLAIN], indent=2).encode(),
    "hits of Elasticsearch": json.dumps(
        {
            "hits": {
                "hits": [
                    {"_source": {"@timestamp": f"2026-05-20T10:00:0{i}Z", "message": s}} for i, s in enumerate(UNTIMED)
                ]
            }
        }
    ).encode(),
    "logfmt": _each(lambda i, s: f'time="2026-05-20T10:00:0{i}Z" level=error msg="{s}"', UNTIMED),
    "Loki": _each(lambda i, s: f'2026-05-20T10:00:0{i}Z {{app="httpd"}} {s}', UNTIMED),
    "grep": _each(lambda _, s: f"/var/log/httpd/error_log-20260517:{s}"),
    "grep -n": _each(lambda i, s: f"{i + 117}:{s}"),
    "grep -rn": _each(lambda i, s: f"/var/log/httpd/error_log:{i + 117}:{s}"),
    "grep -C": _each(lambda i, s: f"error_log-{i + 117}-{s}") + b"--\n",
    "cat -n": _each(lambda i, s: f"{i + 1:6d}\t{s}"),
    "indented": _each(lambda _, s: f"        {s}"),
    "quoted in a mail": _each(lambda _, s: f"> > {s}"),
    "in a fence": b"```\n" + _each(lambda _, s: s) + b"```\n",
    "in quotation marks": _each(lambda _, s: f'"{s}"'),
    "in a table": _each(lambda _, s: f"| {s} |"),
    "tail -f": b"==> /var/log/apache2/error.log <==\n" + _each(lambda _, s: s) + b"\n==> /var/log/syslog <==\n",
    "in colour": _each(lambda _, s: f"\x1b[31m{s}\x1b[0m"),
    "script -c": _each(lambda _, s: f"root@web1:~# {s}"),
    "Puppet's quoting": _each(lambda _, s: json.dumps(s)),
}
WITHOUT_TIME: dict[str, bytes] = {
    "no time": _each(lambda _, s: s, UNTIMED),
    "journalctl -o cat": _each(lambda _, s: s, UNTIMED),
    "messages alone": _each(lambda i, _: WORDS[i][2] + WORDS[i][3], UNTIMED),
    "only a message": _each(lambda i, _: f"web1 says {WORDS[i][2]}{WORDS[i][3]}", UNTIMED),
}
