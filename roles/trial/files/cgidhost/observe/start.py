"""Starts an observation in the background, so that it needs no connection to the control machine while it watches."""

from __future__ import annotations

import os
import sys

from ..commands import say
from ..ending import BlockError
from ..lease import lease_path
from ..wholefile import write_json
from .order import parse
from .session import Session

LOG = "observe.log"


def start(order_text: str, directory: str) -> None:
    """Start to observe, print the process's id and return; what it finds will be in `directory`."""
    order = parse(order_text)
    directory = os.path.abspath(directory)
    if not os.path.isdir(directory):
        raise BlockError(f"there is no directory {directory}")
    os.close(os.open(lease_path(directory), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
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
    write_json(os.path.join(directory, "failed.json"), {"error": f"{type(error).__name__}: {error}"})
