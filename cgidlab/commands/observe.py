"""`runner.py observe`: watch the httpd instances of running servers. Changes nothing on them."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from cgidlab.commands import alarms, exporting, options, signals
from cgidlab.errors import LabError, SpecError
from cgidlab.terminal import cell, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from cgidlab.engine.observing import Listed, ObservationRequest, Observed
    from cgidlab.parsers.observation import Observation

_WIDTH = 110
_WATCH_EVERY_S = 2.0
_LOOK_EVERY_S = 10.0
_OF_ONE_SOCKET = ("--socket", "--until-full", "--error-log", "--status-url", "--requests")
_SHOWN = 20  # lines of a live table
_DESCRIPTION = """Finds the httpd instances that run, by their processes, and watches the queues in front of their cgid
daemons. It installs, changes, restarts and signals nothing; what it needs is in a temporary directory that is
removed. Exit status: 0 whatever was found, 2 the command line, 3 nothing could be observed; 1 what --fail-on names."""


def register(verbs: options.Verbs) -> None:
    """Add the verb and its options."""
    p = verbs.add_parser(
        "observe", help="watch a running server: does its cgid queue overflow?", description=_DESCRIPTION
    )
    _add_where(p)
    _add_what(p)
    p.add_argument(
        "--cost",
        type=options.share_of("--cost", "a cost is a share of one core"),
        default=0.01,
        metavar="SHARE",
        help="what it may cost, as a share of one core (default: 1%%)",
    )
    exporting.add(p)
    p.add_argument("--watch", action="store_true", help="show what is seen while it is")
    options.add_results(p, "where run directories go")
    options.add_format(p)
    p.add_argument(
        "--fail-on",
        type=alarms.conditions,
        default=(),
        metavar="CONDITION,...",
        help=f"exit status 1 where one of these was seen: {', '.join(c.name for c in alarms.CONDITIONS)}",
    )
    p.add_argument(
        "--nagios",
        action="store_true",
        help="print one line with performance data, and return Nagios' 0, 1, 2 or 3; critical is what --fail-on names "
        f"(default: {','.join(alarms.USUAL)})",
    )
    p.set_defaults(run=_run)


def _add_where(p: argparse.ArgumentParser) -> None:
    p.add_argument("--host", metavar="HOST", help="the host to watch, or Ansible's pattern (default: this machine)")
    p.add_argument("--target", metavar="TARGET", help="local, or the path of an Ansible inventory")
    p.add_argument("--become", action="store_true", help="watch as root, through Ansible's become")
    p.add_argument(
        "--socket",
        action="append",
        default=[],
        metavar="PATH",
        help="watch this socket, which may be any listening AF_UNIX stream socket (php-fpm, uwsgi, gunicorn); "
        "@NAME is an abstract one",
    )


def _add_what(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--all",
        action="store_true",
        dest="every",
        help="every listening unix stream socket of the host and its network namespaces, a line each, the worst first",
    )
    p.add_argument(
        "--duration",
        type=options.duration_of("--duration", seconds_alone=True),
        metavar="DURATION",
        help="how long: seconds, or 90s, 30m, 2h (default: 60)",
    )
    p.add_argument(
        "--until-full",
        action="store_true",
        help="wait for the first overflow, for --duration at most, and keep the seconds around it",
    )
    p.add_argument(
        "--around",
        type=options.duration_of("--around", seconds_alone=True),
        default=10.0,
        metavar="DURATION",
        help="how long before and after (--until-full; default: 10)",
    )
    p.add_argument(
        "--error-log", action="append", default=[], metavar="PATH", help="an error_log on the host to count retries in"
    )
    p.add_argument(
        "--requests",
        action="store_true",
        help="keep whole request lines and client addresses of workers that sleep in connect(): personal data, "
        "shortened otherwise",
    )
    p.add_argument(
        "--status-url",
        default="",
        metavar="URL",
        help="ask mod_status there once, such as http://127.0.0.1/server-status?auto; the server logs that request",
    )


def _run(args: argparse.Namespace) -> int:
    """Watch; where Nagios asks, what fails is unknown to it and no trouble of the server's."""
    if exporting.wanted(args):
        return exporting.run(args)
    if not args.nagios:
        return run(args)
    try:
        return run(args)
    except LabError as err:
        print(f"OBSERVE UNKNOWN - {cell(err.what)}".replace("|", "/"))
        return alarms.UNKNOWN


def run(args: argparse.Namespace) -> int:
    """Watch, print what was found, and return 0 whatever that is, unless --fail-on or --nagios ask for more."""
    from cgidlab.engine import observing  # noqa: PLC0415 -- see cgidlab.commands

    order = _order(args)
    cancelled = signals.asked_first("keeping what was seen")
    show = _LiveLines(_worst if args.every else _sockets).show if args.watch else lambda _live: None
    if args.every:
        listed = observing.observe_all(order, args.results, cancelled, show)
        sockets = [alarms.of_listener(row.document()) for row in listed.listeners]
        return _ended(args, sockets, listed)
    seen = observing.observe(order, args.results, cancelled, show)
    return _ended(args, [alarms.of_instance(i) for i in seen.instances], seen)


def told(seen: Observed | Listed, form: str) -> str:
    """Return what was seen as it is printed, as text or json."""
    from cgidlab.engine.observing import Observed  # noqa: PLC0415 -- see cgidlab.commands

    if isinstance(seen, Observed):
        return json.dumps(_document(seen), indent=1, allow_nan=False) if form == "json" else _text(seen)
    return _listed_json(seen) if form == "json" else _listed(seen)


def _ended(args: argparse.Namespace, sockets: Sequence[alarms.Socket], seen: Observed | Listed) -> int:
    """Print what was seen and return the exit status that was asked for."""
    if args.nagios:
        state, line = alarms.nagios(sockets, args.fail_on or alarms.USUAL)
        print(line)
        return state
    print(told(seen, args.format))
    return alarms.status(sockets, args.fail_on)


def _order(args: argparse.Namespace) -> ObservationRequest:
    from cgidlab.engine.observing import ObservationRequest  # noqa: PLC0415 -- see cgidlab.commands

    if args.status_url and not re.match(r"https?://", args.status_url):
        raise SpecError(f"`{args.status_url}` is no http address", where="--status-url")
    for path in (*args.socket, *args.error_log):
        if not path.startswith(("/", "@")):
            raise SpecError(f"`{path}` is not an absolute path", where="--socket, --error-log", fix="begin it with /")
    if args.every:
        given = [o for o in _OF_ONE_SOCKET if getattr(args, o.strip("-").replace("-", "_"))]
        if given:
            raise SpecError(f"{given[0]} is about sockets that are named, --all about every one", where="--all")
    return ObservationRequest(
        root=options.ROOT,
        target=args.target,
        hosts=args.host,
        duration_s=args.duration if args.duration is not None or args.until_full else 60.0,
        until_full=args.until_full,
        around_s=args.around,
        cost_share=args.cost,
        sockets=tuple(args.socket),
        status_url=args.status_url,
        error_logs=tuple(args.error_log),
        become=args.become,
        every=args.every,
        whole_requests=args.requests,
        poll_s=_WATCH_EVERY_S if args.watch else _LOOK_EVERY_S,
    )


class _LiveLines:
    """What is seen now, a line a socket: in place on a terminal, otherwise a line whenever something changed."""

    def __init__(self, lines_of: Callable[[Mapping[str, Mapping[str, Any]]], list[str]]) -> None:
        self._lines_of = lines_of
        self._terminal = sys.stderr.isatty()
        self._lines = 0
        self._last = ""

    def show(self, live: Mapping[str, Mapping[str, Any]]) -> None:
        """Show the helpers' latest words."""
        try:
            lines = self._lines_of(live)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return  # a host says something else; its last word is checked, and named then
        text = printable("\n".join(lines))
        if not lines or text == self._last:
            return
        if self._terminal:
            sys.stderr.write(f"\x1b[{self._lines}F\x1b[J" if self._lines else "")
        print(text, file=sys.stderr, flush=True)
        self._lines, self._last = len(lines), text


def _sockets(live: Mapping[str, Mapping[str, Any]]) -> list[str]:
    several = len(live) > 1
    return [
        cell(_live_line(f"{host}: " if several else "", seen["elapsed_s"], t))
        for host, seen in sorted(live.items())
        for t in seen["targets"]
    ]


def _worst(live: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from cgidlab.commands.listeners import table  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.parsers import listeners  # noqa: PLC0415 -- see cgidlab.commands

    rows = [
        listeners.listener(listeners.TOLD.parse(raw), host)
        for host, seen in sorted(live.items())
        for raw in seen.get("every", ())
    ]
    return table(rows, _SHOWN).splitlines() if rows else []


def _listed(seen: Listed) -> str:
    from cgidlab.commands.listeners import table  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.parsers.observation import span  # noqa: PLC0415 -- see cgidlab.commands

    several = len(seen.hosts) > 1
    lines = [table(seen.listeners) if seen.listeners else "no unix stream socket listens", ""]
    lines += [f"watched{f' on {h.host}' if several else ''} {span(h.begin, h.end)}" for h in seen.hosts]
    lines += [cell(f"note: {h.host}: {note}") for h in seen.hosts for note in h.notes]
    lines += [cell(f"not watched: {failure}") for failure in seen.failures]
    lines += [_cost_line(h, several=several) for h in seen.hosts]
    return "\n".join([*lines, f"all figures: {seen.document}"])


def _listed_json(seen: Listed) -> str:
    document = {
        "schema_version": 1,
        "listeners": [row.document() for row in seen.listeners],
        "cost": _cost_of(seen.hosts),
        "hosts": [_host(h) for h in seen.hosts],
        "failures": list(seen.failures),
        "document": str(seen.document),
    }
    return json.dumps(document, indent=1, allow_nan=False)


def _live_line(host: str, elapsed_s: float, target: Mapping[str, Any]) -> str:
    if not target["there"]:
        return f"{elapsed_s:7.0f} s  {host}{target['label']}: not there now"
    if target["depth"] is None:
        return f"{elapsed_s:7.0f} s  {host}{target['label']}: its queue cannot be seen"
    asleep = "" if target["asleep"] is None else f"  asleep {target['asleep']} (most {target['asleep_max']})"
    full_s = f"  full for {target['full_s']:.1f} s" if target["full_s"] else ""
    away = f"  turned away {target['turned_away']:,}" if target.get("turned_away") else ""
    queue = f"queue {target['depth']} of {target['limit']} (most {target['depth_max']})"
    return f"{elapsed_s:7.0f} s  {host}{target['label']}: {queue}{full_s}{asleep}{away}"


def _document(seen: Observed) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "instances": [dict(i) for i in seen.instances],
        "cost": _cost_of(seen.hosts),
        "hosts": [_host(h) for h in seen.hosts],
        "failures": list(seen.failures),
        "run_directory": str(seen.run),
        "report": str(seen.report),
    }


def _host(host: Observation) -> dict[str, Any]:
    return {
        "host": host.host,
        "ended": host.ended,
        **host.window,
        "length_s": round(host.length_s, 3),
        "cost": dict(host.cost),
        "notes": list(host.notes),
    }


def _cost_of(hosts: tuple[Observation, ...]) -> dict[str, Any]:
    """Return the dearest host's cost."""
    return dict(max(hosts, key=lambda h: h.cost.get("cpu_share") or 0.0).cost)


def _text(seen: Observed) -> str:
    from cgidlab.commands import requests  # noqa: PLC0415 -- see cgidlab.commands
    from cgidlab.report import QUESTIONS  # noqa: PLC0415 -- see cgidlab.commands

    lines: list[str] = []
    for i in seen.instances:
        lines += [cell(_title(i, several=len(seen.hosts) > 1)), ""]
        for asked, said in zip(QUESTIONS, i["verdict"]["lines"], strict=True):
            lines += [
                asked,
                textwrap.fill(said, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False),
            ]
        lines += [*requests.lines(i["requests"]), ""]
    lines += [cell(f"note: {h.host}: {note}") for h in seen.hosts for note in h.notes]
    lines += [cell(f"not watched: {failure}") for failure in seen.failures]
    lines += [_cost_line(h, several=len(seen.hosts) > 1) for h in seen.hosts]
    lines.append(f"report: {seen.report}")
    return "\n".join(lines)


def _title(i: Mapping[str, Any], *, several: bool) -> str:
    where = f"{i['host']}: " if several else ""
    if not i["httpd"]:
        held = f"{i['program']}, process {i['pid']}" if i["program"] else f"held by process {i['pid']}"
        limit = f" (queue of {i['queue_limit']})" if i["queue_limit"] is not None else ""
        return f"{where}{held}: {i['socket']}{limit}"
    known = [i["version"] or "httpd", f"process {i['pid']}"]
    if i["mpm"]:
        size = f" {i['processes']} x {i['threads_per_child']}" if i["threads_per_child"] else ""
        known.append(f"MPM {i['mpm']}{size}")
    if i["server_limit"]:
        known.append(f"ServerLimit {i['server_limit']}, ThreadLimit {i['thread_limit']}")
    socket = i["socket"] or "no cgid socket"
    return f"{where}{', '.join(known)}: {socket}" + (
        f" (queue of {i['queue_limit']})" if i["queue_limit"] is not None else ""
    )


def _cost_line(host: Observation, *, several: bool) -> str:
    c = host.cost
    where = f" on {host.host}" if several else ""
    share, cpu_s = c.get("cpu_share"), c.get("cpu_s")
    if share is None or cpu_s is None:
        return f"cost{where}: not known"
    once = (c.get("set_up_cpu_s") or 0.0) + (c.get("packing_cpu_s") or 0.0)
    return (
        f"cost{where}: {100 * share:.2f} % of one core while watching ({cpu_s:.2f} s of CPU in {host.length_s:.0f} s, "
        f"{100 * (c.get('limit') or 0):g} % allowed), and {once:.2f} s once to begin and to pack"
    )
