"""Real httpd instances on this machine, run as services are: for tests of what watches a server.

They are the project's own builds with the configuration of a trial, without a trial's helper: on the host's own
network and processes, or in a network and process namespace of their own as a container has. Needs root.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cgidhost_rig import Rig

_START_S = 60.0  # the machine may be busy
_ASK = "import sys, urllib.request as r; sys.exit(r.urlopen(sys.argv[1], timeout=5).status != 200)"
_IN_NETWORK = ("nsenter", "--net", "--target")


@dataclass(frozen=True)
class Instance:
    """One httpd that runs."""

    directory: Path
    port: int
    pid: int  # of its first process, as this machine numbers it
    contained: bool

    @property
    def error_log(self) -> Path:
        """Return the path of its error_log."""
        return self.directory / "logs" / "error_log"

    @property
    def sockets(self) -> list[Path]:
        """Return the files of its cgid sockets."""
        return list((self.directory / "run").glob("cgid.sock.*"))

    def inside(self, *argv: str) -> list[str]:
        """Return a command that runs in the instance's network."""
        return [*_IN_NETWORK, str(self.pid), "--", *argv] if self.contained else list(argv)

    def answers(self) -> bool:
        """Say whether a CGI script answers."""
        url = f"http://127.0.0.1:{self.port}/cgi-bin/hello"
        argv = self.inside(sys.executable, "-c", _ASK, url)
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0

    def load(self, clients: int, seconds: float) -> "subprocess.Popen[bytes]":
        """Start requests for a CGI script from that many clients, in the background."""
        url = f"http://127.0.0.1:{self.port}/cgi-bin/hello"
        argv = ["h2load", "--h1", "-D", str(round(seconds)), "-c", str(clients), "-t", "1", url]
        return subprocess.Popen(self.inside(*argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its first process."""
        os.kill(self.pid, number)


@contextmanager
def httpd(host: dict[str, Any], directory: Path, *, contained: bool = False, **changes: Any) -> Iterator[Instance]:  # noqa: ANN401 -- settings of any type
    """Run an httpd of a provisioned host with some settings changed, until the block ends."""
    port = _free_port()
    conf = _write(host, directory, port, changes)
    argv = [host["httpd"]["distro"]["binary"], "-f", str(conf), "-DFOREGROUND"]
    if contained:
        up = 'ip link set lo up && exec "$@"'
        argv = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", up, "sh", *argv]
    with (directory / "output").open("wb") as said, subprocess.Popen(argv, stdout=said, stderr=said) as process:
        try:
            pid = _await_first(process, directory, contained=contained)
            instance = Instance(directory, port, pid, contained)
            wait_for(lambda: process.poll() is not None or instance.answers(), (directory / "output").read_text)
            assert process.poll() is None, (directory / "output").read_text()
            yield instance
        finally:
            _end(process, contained=contained)


def let_through(directory: Path) -> None:
    """Let every user pass through to a directory of a test, without letting him look around."""
    for parent in (directory, *directory.parents):
        if not parent.stat().st_mode & 0o1:
            parent.chmod(0o711)


def wait_for(condition: Any, why: Any = lambda: "", timeout_s: float = _START_S) -> None:  # noqa: ANN401 -- callables
    """Return when `condition` is true; fail with what `why` returns when it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)  # nothing announces it


def _await_first(process: "subprocess.Popen[bytes]", directory: Path, *, contained: bool) -> int:
    if not contained:
        return process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: children.read_text().split(), (directory / "output").read_text)
    return int(children.read_text().split()[0])


def _end(process: "subprocess.Popen[bytes]", *, contained: bool) -> None:
    """End an instance and everything it forked."""
    if contained:
        process.kill()  # the first process of its namespace dies with it, and all others with that one
        return
    forked = (
        [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        if (process.poll() is None)
        else []
    )
    process.kill()
    for pid in forked:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _write(host: dict[str, Any], directory: Path, port: int, changes: dict[str, Any]) -> Path:
    """Write httpd.conf below `directory`, as a trial's is rendered."""
    text = str(Rig(host, directory).trial(1, **{"workers": 50, "threads_per_child": 25, **changes})["httpd_conf"])
    for name in ("logs", "run"):
        (directory / name).mkdir(parents=True)
    let_through(directory)
    conf = directory / "httpd.conf"
    marks = {"@TRIAL_DIR@": str(directory), "@RUN_DIR@": str(directory / "run"), "@PORT@": str(port)}
    for mark, value in marks.items():
        text = text.replace(mark, value)
    conf.write_text(text)
    return conf


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
