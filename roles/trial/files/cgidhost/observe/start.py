"""Starts an observation in the background, so that it needs no connection to the control machine while it watches."""

from __future__ import annotations

import json
import os
import sys

from ..commands import say
from ..ending import BlockError
from .order import parse
from .session import Session

LOG = "observe.log"
LEASE = "lease"


def start(order_text: str, directory: str) -> None:
    """Start to observe, print the process's id and return; what it finds will be in `directory`."""
    order = parse(order_text)
    directory = os.path.abspath(directory)
    if not os.path.isdir(directory):
        raise BlockError(f"there is no directory {directory}")
    os.close(os.open(os.path.join(directory, LEASE), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    pid = os.fork()
    if pid:
        say(pid=pid)
        return
    code = 1
    try:
        os.setsid()
        log = os.open(os.path.join(directory, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.chdir("/")
        os.umask(0o077)
        Session(order, directory).run()
        code = 0
    except BaseException as error:  # noqa: BLE001 -- nobody above this process could report it: it goes to the log
        sys.excepthook(*sys.exc_info())
        _report(directory, error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(directory: str, error: BaseException) -> None:
    path = os.path.join(directory, "failed.json")
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump({"error": f"{type(error).__name__}: {error}"}, file)
    os.rename(path + ".part", path)
