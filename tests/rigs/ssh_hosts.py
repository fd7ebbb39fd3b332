"""Real SSH hosts made of namespaces on this machine, and what can go wrong with them. Needs root and openssh-server.

    with ssh_hosts.Rig(3) as rig:                       # h1, h2, h3, each in `servers` and in `generators`
        inventory = rig.write_inventory("two.yml", servers=["h1", "h2"], generators=["h3"])
        rig.skew_clock("h3", 3.0)

    .venv/bin/python -m tests.rigs.ssh_hosts up N DIR             # the same by hand; prints the inventory
    .venv/bin/python -m tests.rigs.ssh_hosts do DIR kill h2       # or: cut h2, mend h2, skew h1 3, fill h1, free h1 ...
    .venv/bin/python -m tests.rigs.ssh_hosts run DIR h1 df -h /
    .venv/bin/python -m tests.rigs.ssh_hosts down DIR

A host has its own network, mounts, processes, name, machine and boot identity, host key, and a root that is this
machine's with a layer of its own in memory: what is installed or built here is there too, what it writes is seen by
nobody else and is gone with it. It shares the kernel, its clock and the CPUs. Users: root, and `lab`, who cannot
become root, nor mount a /proc of its own (the kernel allows it only where nothing is mounted in the host's, and the
boot identity is): trials without root need a machine.
"""

import argparse
import contextlib
import errno
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
KEEPER = HERE / "ssh_keeper.py"
PROGRAMS = ("/usr/sbin/sshd", "ssh", "ssh-keygen", "ip", "unshare", "nsenter", "setpriv", "pivot_root")
DISK_MB = 512
_SKEW = "/usr/lib/cgidlab-clock-skew.so"
_FILLER = "var/tmp/.filler"
_START_S = 60.0  # this machine may be busy


class RigError(Exception):
    """The rig could not do what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host: where it is, and its first process as this machine numbers it."""

    name: str
    address: str
    pid: int

    @property
    def root(self) -> Path:
        """Return the host's root directory, as seen from here."""
        return Path(f"/proc/{self.pid}/root")


def missing() -> str:
    """Return why no rig can be made here, for pytest.skip; empty when one can."""
    if os.geteuid() != 0:
        return "SSH hosts of namespaces need root"
    absent = [p for p in PROGRAMS if shutil.which(p) is None]
    return f"SSH hosts need {', '.join(absent)}: make test-tools installs openssh-server" if absent else ""


class Hosts:
    """A rig that exists, by its directory: all that can be done to it, from any process."""

    def __init__(self, directory: Path) -> None:
        """Read `rig.json`; raise `RigError` where there is no rig."""
        self.directory = directory.resolve()
        try:
            raw = json.loads((self.directory / "rig.json").read_text())
        except OSError as err:
            raise RigError(f"there is no rig in {directory}: {err.strerror}") from err
        self.keeper = int(raw["keeper"])
        self.hosts = tuple(Host(h["name"], h["address"], h["pid"]) for h in raw["hosts"])
        self._sockets = Path(raw["sockets"])

    def __getitem__(self, name: str) -> Host:
        """Return a host by its name; raise `RigError` if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise RigError(f"there is no host {name}")

    def end(self) -> None:
        """End all hosts and what belongs to them; return when they are gone."""
        self.close_connections()
        _signal(self.keeper, signal.SIGTERM, wait=True)

    def close_connections(self) -> None:
        """End the SSH connections that Ansible keeps open to the hosts."""
        for path in self._sockets.glob("*"):
            if path.is_socket():
                argv = ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={path}", "rig"]
                subprocess.run(argv, check=False, capture_output=True)

    def write_inventory(
        self,
        name: str = "inventory.yml",
        *,
        servers: Iterable[str] | None = None,
        generators: Iterable[str] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> Path:
        """Write an inventory of these hosts (each in both groups if not told) and return its path."""
        every = [h.name for h in self.hosts]
        groups = {
            "servers": every if servers is None else list(servers),
            "generators": every if generators is None else list(generators),
        }
        used = sorted({host for members in groups.values() for host in members})
        ssh = {
            "UserKnownHostsFile": self.directory / "known_hosts",
            "GlobalKnownHostsFile": "none",
            "IdentitiesOnly": "yes",
        }
        path = self.directory / name
        text = {
            "all": {
                "hosts": {host: {"ansible_host": self[host].address} for host in used},
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_private_key_file": str(self.directory / "key"),
                    "ansible_ssh_common_args": " ".join(["-F none", *(f"-o {k}={v}" for k, v in ssh.items())]),
                    "ansible_control_path_dir": str(self._sockets),
                    "ansible_python_interpreter": "/usr/bin/python3",
                    **(variables or {}),
                },
                "children": {group: {"hosts": {host: {} for host in members}} for group, members in groups.items()},
            }
        }
        path.write_text(json.dumps(text, indent=1) + "\n")  # JSON is YAML, and knows how to quote
        return path

    def run(self, name: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program as root on a host, without SSH; its clock is the host's."""
        words = ["nsenter", f"--target={self[name].pid}", "--all", "--root", "--wd", "--", *argv]
        return subprocess.run(words, check=check, capture_output=True, text=True)

    def kill(self, name: str) -> None:
        """Have a host lose its power: nothing it would have said is sent any more."""
        self.cut(name)
        _signal(self[name].pid, signal.SIGKILL, wait=True)

    def cut(self, name: str) -> None:
        """Pull a host's network cable; `mend` puts it back."""
        _check("nsenter", f"--net=/proc/{self.keeper}/ns/net", "ip", "link", "set", self[name].name, "down")

    def mend(self, name: str) -> None:
        """Put a host's network cable back."""
        _check("nsenter", f"--net=/proc/{self.keeper}/ns/net", "ip", "link", "set", self[name].name, "up")

    def skew_clock(self, name: str, by_s: float) -> None:
        """Have every program that starts on a host from now on read its CLOCK_REALTIME `by_s` off; 0 sets it right.

        CLOCK_MONOTONIC and the kernel's own stamps stay true; see clock_skew.c.
        """
        root = self[name].root
        preload = root / "etc/ld.so.preload"
        if not by_s:
            preload.unlink(missing_ok=True)
            return
        made = self.directory / f"{name}.skew.so"
        source = str(HERE / "clock_skew.c")
        _check("gcc", "-shared", "-fPIC", "-O2", f"-DSKEW_NS={round(by_s * 1e9)}LL", "-o", str(made), source, "-ldl")
        library = root / _SKEW.lstrip("/")
        library.unlink(missing_ok=True)  # running programs keep what they have mapped
        shutil.copyfile(made, library)
        preload.write_text(_SKEW + "\n")

    def fill_disk(self, name: str, leave_bytes: int = 0) -> None:
        """Leave at most `leave_bytes` free on a host's disk."""
        with (self[name].root / _FILLER).open("ab") as file:
            chunk = self.free_bytes(name)
            while chunk and (left := self.free_bytes(name) - leave_bytes) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), min(chunk, left))
                except OSError as err:
                    if err.errno != errno.ENOSPC:
                        raise
                    chunk //= 2  # somebody else wrote meanwhile

    def free_disk(self, name: str) -> None:
        """Undo `fill_disk`."""
        (self[name].root / _FILLER).unlink(missing_ok=True)

    def free_bytes(self, name: str) -> int:
        """Return what may still be written to a host's disk."""
        found = os.statvfs(self[name].root / "var/tmp")
        return found.f_bavail * found.f_frsize

    def change_host_key(self, name: str) -> None:
        """Have a host answer with another host key than the one it is known by, and forget all connections."""
        made = self.directory / f"{name}.other_key"
        made.unlink(missing_ok=True)
        make_key(made)
        (self[name].root / "etc/ssh/host_key").write_bytes(made.read_bytes())
        _signal(self[name].pid, signal.SIGHUP)  # sshd starts itself again, with what it finds now
        self.close_connections()
        want = made.with_name(f"{made.name}.pub").read_text().split()[1]
        deadline = time.monotonic() + _START_S
        while _host_key(self[name]) != want:
            if time.monotonic() > deadline:
                raise RigError(f"{name} does not answer with its new host key")
            time.sleep(0.05)  # the key can only be asked for


class Rig(Hosts, AbstractContextManager["Rig"]):
    """N hosts that live until the rig is closed, or until the process that made it has died, whatever of."""

    def __init__(
        self,
        hosts: int | Sequence[str],
        directory: Path | None = None,
        *,
        disk_mb: int = DISK_MB,
        hidden: Iterable[str] = (),
        lower: Path = Path("/"),
        detached: bool = False,
    ) -> None:
        """Make the hosts and return when all answer on their SSH port; raise `RigError` otherwise.

        `hosts` are names, or how many of h1, h2 ... . `directory` (a temporary one if none) holds keys, inventories
        and sshd's logs. `disk_mb` bounds what a host may write; `hidden` names directories of this machine that a
        host shall find empty (`/var/cache/cgidlab`: nothing is built yet); `lower` is the root that all
        share. A `detached` rig outlives this process until `Hosts(directory).end()`.
        """
        reason = missing()
        if reason:
            raise RigError(reason)
        names = [f"h{n}" for n in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts)
        # Sockets of shared connections lie in it, and the path of a socket may have 108 characters.
        sockets = Path(tempfile.mkdtemp(prefix="cgl-", dir="/tmp"))
        directory = directory.resolve() if directory else Path(tempfile.mkdtemp(prefix="cgl-rig-"))
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "rig.json").unlink(missing_ok=True)
        for key in ("key", *(f"{name}.host_key" for name in names)):
            make_key(directory / key)
        order = {
            "directory": str(directory),
            "sockets": str(sockets),
            "hosts": names,
            "disk_mb": disk_mb,
            # The project itself too: a host has only what was brought to it.
            "hidden": [str(HERE.parent.parent), *hidden],
            "lower": str(lower),
            "caller": os.getpid(),
            "attended": not detached,
        }
        log = directory / "keeper.log"
        argv = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, str(KEEPER)]
        with log.open("ab") as said:
            # Attended, its standard input is a pipe that nobody but this process holds open.
            self._process = subprocess.Popen(
                [*argv, "keep", json.dumps(order)],
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            self._await(directory, log)
        except BaseException:
            self._end_keeper()
            raise
        self.inventory = self.write_inventory()

    def _await(self, directory: Path, log: Path) -> None:
        deadline = time.monotonic() + _START_S
        while not (directory / "rig.json").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RigError(f"the hosts did not start: {log.read_text()[-2000:]}")
            time.sleep(0.005)  # what tells of the keeper's end does not tell of its file
        super().__init__(directory)
        known = (f"{h.address} {(directory / f'{h.name}.host_key.pub').read_text()}" for h in self.hosts)
        (directory / "known_hosts").write_text("".join(known))
        for host in self.hosts:
            _await_ssh(host, deadline, directory)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all hosts."""
        self.close()

    def close(self) -> None:
        """End all hosts, their connections and interfaces; the directory stays."""
        self.close_connections()
        self._end_keeper()

    def _end_keeper(self) -> None:
        self._process.terminate()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def make_key(path: Path) -> None:
    """Make a pair of SSH keys, unless they are there."""
    if not path.exists():
        _check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", str(path))


def _host_key(host: Host) -> str:
    """Return the public key that a host answers with now; empty when it does not answer."""
    argv = ["ssh-keyscan", "-T", "5", "-t", "ed25519", host.address]
    said = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.split()
    return said[-1] if said else ""


def _await_ssh(host: Host, deadline: float, directory: Path) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host.address, 22), 5) as connection:
            if connection.recv(8).startswith(b"SSH-2.0"):
                return
        if time.monotonic() > deadline or not host.root.parent.exists():
            raise RigError(f"{host.name} does not answer: {(directory / f'{host.name}.log').read_text()[-2000:]}")
        time.sleep(0.01)  # a port that will be opened can only be tried


def _signal(pid: int, number: signal.Signals, *, wait: bool = False) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, number)
        if wait and not select.select([handle], [], [], _START_S)[0]:
            raise RigError(f"process {pid} does not end")
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _check(*argv: str) -> None:
    ran = subprocess.run(argv, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RigError(f"{shlex.join(argv)}: {ran.stderr.strip()}")


def main(argv: Sequence[str]) -> int:
    """Run one command of the module's docstring."""
    args = _parser().parse_args(argv)
    try:
        if args.verb == "up":
            rig = Rig(args.number, args.directory, disk_mb=args.disk_mb, hidden=args.hide, detached=True)
            sys.stdout.write(rig.inventory.read_text())
            sys.stderr.write(f"inventory: {rig.inventory}\n")
            return 0
        hosts = Hosts(args.directory)
        if args.verb == "down":
            hosts.end()
        elif args.verb == "run":
            ran = hosts.run(args.host, *args.argv, check=False)
            sys.stdout.write(ran.stdout)
            sys.stderr.write(ran.stderr)
            return ran.returncode
        else:
            actions = {
                "kill": lambda: hosts.kill(args.host),
                "cut": lambda: hosts.cut(args.host),
                "mend": lambda: hosts.mend(args.host),
                "skew": lambda: hosts.skew_clock(args.host, args.value),
                "fill": lambda: hosts.fill_disk(args.host, int(args.value)),
                "free": lambda: hosts.free_disk(args.host),
                "rekey": lambda: hosts.change_host_key(args.host),
            }
            actions[args.what]()
    except RigError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("number", type=int)
    down, do, run = (verbs.add_parser(verb) for verb in ("down", "do", "run"))
    for verb in (up, down, do, run):
        verb.add_argument("directory", type=Path)
    up.add_argument("--hide", action="append", default=[], metavar="DIR", help="hosts shall find it empty")
    up.add_argument("--disk-mb", type=int, default=DISK_MB)
    do.add_argument("what", choices=("kill", "cut", "mend", "skew", "fill", "free", "rekey"))
    for verb in (do, run):
        verb.add_argument("host")
    do.add_argument("value", nargs="?", type=float, default=0.0, help="seconds to skew by, bytes to leave free")
    run.add_argument("argv", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
