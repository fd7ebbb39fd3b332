"""Which setting holds the queue of which program.

A program is known by the name its process has, as the watched host tells it.
"""

import re
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


UNKNOWN = ServerProgram("the program", "", "the program's own listen backlog", "its number of processes")
CGID = ServerProgram(
    "mod_cgid",
    "",
    "DEFAULT_CGID_LISTENBACKLOG (by building mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG=N)",
    "",
    "restart httpd",
)
PROGRAMS = (
    ServerProgram("php-fpm", r"php-fpm[\d.]*", "listen.backlog in the pool's file", "pm.max_children"),
    ServerProgram("uWSGI", r"uwsgi(-core|_\w+)?", "listen (--listen N)", "processes (--processes N)"),
    ServerProgram("gunicorn", r"gunicorn3?", "backlog (--backlog N)", "workers (--workers N)"),
    ServerProgram("Puma", r"puma", "backlog of its bind (unix://PATH?backlog=N)", "workers and threads"),
    ServerProgram("Unicorn", r"unicorn(_rails)?", ":backlog of its listen", "worker_processes"),
    ServerProgram(
        "mod_wsgi", r"apache2|httpd|\(wsgi:.*", "listen-backlog of WSGIDaemonProcess", "its processes and threads",
        "restart httpd", path=r".*/?wsgi\.[\d.]+sock",
    ),
)  # fmt: skip
"""Anything else is `UNKNOWN`: the queue is the same kernel object, and only its setting's name is not known."""


def program(process: str, path: str = "") -> ServerProgram:
    """Return the program whose process has this name and listens at this path."""
    found = (p for p in PROGRAMS if re.fullmatch(p.process, process) and (not p.path or re.fullmatch(p.path, path)))
    return next(found, UNKNOWN)
