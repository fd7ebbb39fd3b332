"""A server of the distribution that stands in front of a unix socket: its load, its observation, its own log."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.rigs import ssh_hosts
from tests.servers.distribution import HOST, await_true, start


@contextmanager
def running(rig: ssh_hosts.Rig, *argv: str) -> Iterator[None]:
    """Run a program on the host for as long as the block lasts; its process id is known there alone."""
    told = rig[HOST].root / f"run/{argv[0]}.running"
    process = start(rig, "sh", "-c", f'echo $$ > /{told.relative_to(rig[HOST].root)}; exec "$@"', "sh", *argv)
    try:
        yield
    finally:
        await_true(lambda: told.exists() and bool(told.read_text().strip()))
        rig.run(HOST, "kill", "-9", told.read_text().strip(), check=False)
        process.wait()
        told.unlink()


@dataclass(frozen=True)
class Observed:
    """One `runner.py observe`."""

    status: int
    said: dict[str, Any]
    stderr: str

    @property
    def one(self) -> dict[str, Any]:
        """Return what was said of the socket."""
        assert self.status == 0, self.stderr
        (found,) = self.said["instances"]
        assert isinstance(found, dict)
        return found

    @property
    def lines(self) -> list[str]:
        """Return its five sentences."""
        return list(self.one["verdict"]["lines"])


def observing(repo_root: Path, rig: ssh_hosts.Rig, results: Path, *words: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "runner.py", "observe", "--target", str(rig.inventory), "--host", HOST, "--format", "json"]
    argv += ["--results", str(results), *words]
    return subprocess.Popen(argv, cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> Observed:
    out, err = process.communicate(timeout=120)
    return Observed(process.returncode, json.loads(out) if out else {}, err)


@contextmanager
def load(rig: ssh_hosts.Rig, address: str, clients: int, *words: str) -> Iterator[None]:
    """Have so many clients, and nobody else, ask for a page for as long as the block lasts."""
    await_nobody(rig, address)
    with running(rig, "h2load", "--h1", "-D", "600", "-c", str(clients), "-t", "1", *words, address):
        yield


def await_nobody(rig: ssh_hosts.Rig, address: str) -> None:
    """Return when the front has no connection left.

    What the load of an earlier test asked for last is still being answered: mod_wsgi tries for seconds to connect.
    """
    own = f"sport = :{urlsplit(address).port}"
    await_true(lambda: not rig.run(HOST, "ss", "-Htn", "exclude", "time-wait", "exclude", "listening", own).stdout)


def statuses(log: str, begin: str, end: str) -> dict[int, int]:
    """Return how many requests were answered with which status between two times, from lines of time and status."""
    edges = [datetime.fromisoformat(edge).timestamp() for edge in (begin, end)]
    counts: dict[int, int] = {}
    for when, status in (line.split()[:2] for line in log.splitlines()):
        if edges[0] <= float(when) < edges[1]:
            counts[int(status)] = counts.get(int(status), 0) + 1
    return counts


def pages(rig: ssh_hosts.Rig, address: str) -> bool:
    """Say whether a request is answered as it should be."""
    ask = f"import urllib.request as r; r.urlopen('{address}', timeout=5)"
    return rig.run(HOST, "python3", "-c", ask, check=False).returncode == 0


def kill_holders(rig: ssh_hosts.Rig, socket: str) -> None:
    """End all who hold a socket; its file stays, as after a crash."""
    holders = f"ss -xlpH | grep ' {socket} ' | grep -o 'pid=[0-9]*' | cut -d= -f2"

    def ended() -> bool:  # a first process may fork another worker before its turn comes
        rig.run(HOST, "sh", "-c", f"kill -9 $({holders})", check=False)
        return f" {socket} " not in rig.run(HOST, "ss", "-xlH").stdout

    await_true(ended)


LIGHT = (1, "--rps", "10")
