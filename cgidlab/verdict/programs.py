"""Which setting holds the queue of which program, and what it takes to be served by it: the only table of these names.

A program is known by the name its process has, as the watched host tells it, or by the handler of a trial.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A server that listens on a unix socket."""

    name: str  # as its users call it
    process: str  # pattern of the process's whole name
    queue: str  # the setting of its listen queue, and where that is
    workers: str  # the setting of how many accept
    restart: str = "restart it"  # what makes a new queue of it: listen() is called once
    path: str = ""  # pattern that the socket's path has to match too
    lengthen: str = ""  # how its queue is made longer, where that is no setting

    @property
    def both(self) -> str:
        """Return what makes its queue longer, up to the number: "set backlog (...) and net.core.somaxconn, both"."""
        return f"{self.lengthen or f'set {self.queue}'} and {'set ' * bool(self.lengthen)}net.core.somaxconn, both"


UNKNOWN = ServerProgram("the program", "", "the program's own listen backlog", "its number of processes")
CGID = ServerProgram(
    "mod_cgid",
    "",
    "DEFAULT_CGID_LISTENBACKLOG (by building mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG=N)",
    "",
    "reload httpd gracefully",
    lengthen="build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG",
)
PHP_FPM = ServerProgram("php-fpm", r"php-fpm[\d.]*", "listen.backlog in the pool's file", "pm.max_children")
GUNICORN = ServerProgram("gunicorn", r"gunicorn3?", "backlog (--backlog N)", "workers (--workers N)")
FCGIWRAP = ServerProgram(
    "fcgiwrap", r"fcgiwrap", "the backlog of who opens its socket (Backlog= of fcgiwrap.socket, or spawn-fcgi -b N)",
    "its number of processes (fcgiwrap -c N, or spawn-fcgi -F N)", "restart fcgiwrap.socket",
)  # fmt: skip
UWSGI = ServerProgram("uWSGI", r"uwsgi(-core|_\w+)?", "listen (--listen N)", "processes (--processes N)")
PROGRAMS = (
    PHP_FPM,
    UWSGI,
    GUNICORN,
    FCGIWRAP,
    ServerProgram("Puma", r"puma", "backlog of its bind (unix://PATH?backlog=N)", "workers and threads"),
    ServerProgram("Unicorn", r"unicorn(_rails)?", ":backlog of its listen", "worker_processes"),
    ServerProgram(
        "mod_wsgi", r"apache2|httpd|\(wsgi:.*", "listen-backlog of WSGIDaemonProcess", "its processes and threads",
        "restart httpd", path=r".*/?wsgi\.[\d.]+sock",
    ),
)  # fmt: skip
"""Anything else is `UNKNOWN`: the queue is the same kernel object, and only its setting's name is not known."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What stands behind httpd in a trial, in the words of who has to set it up."""

    name: str  # as its users call it
    takes: str  # what one must do to be served by it
    program: ServerProgram | None  # whose queue it is; None: it has none


HANDLERS: Mapping[str, Handler] = {
    "cgid": Handler(CGID.name, "load mod_cgid; scripts stay", CGID),
    "cgi": Handler("mod_cgi", "load mod_cgi in place of mod_cgid; scripts stay", None),
    "fcgid": Handler("mod_fcgid", "load mod_fcgid and have it start fcgiwrap for scripts; scripts stay", None),
    "fcgiwrap": Handler(
        FCGIWRAP.name, "install fcgiwrap and hand scripts to its socket by mod_proxy_fcgi; scripts stay", FCGIWRAP
    ),
    "php_fpm": Handler(
        PHP_FPM.name, "install php-fpm, have the script in PHP, hand it to its socket by mod_proxy_fcgi", PHP_FPM
    ),
    "gunicorn": Handler(
        GUNICORN.name,
        "install gunicorn, have the script as a Python application, hand it to its socket by mod_proxy_http",
        GUNICORN,
    ),
    "uwsgi": Handler(
        UWSGI.name,
        "install uWSGI, have the script as a Python application, hand it to its socket by mod_proxy_uwsgi",
        UWSGI,
    ),
}
"""By the level of the factor handler."""


def program(process: str, path: str = "") -> ServerProgram:
    """Return the program whose process has this name and listens at this path."""
    found = (p for p in PROGRAMS if re.fullmatch(p.process, process) and (not p.path or re.fullmatch(p.path, path)))
    return next(found, UNKNOWN)
