"""A host that systemd booted, in a container of this machine's root with a layer of its own; its SSH needs no network.

Needs root, systemd-container and openssh-server. The host has a network namespace, processes and a name of its own;
what it writes is gone with it. Its services are masked: it boots in about a second.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("systemd-nspawn", "/usr/lib/systemd/systemd", "/usr/sbin/sshd", "ssh-keygen", "nsenter")
_START_S = 60.0
# Not a service of this machine may start in its copy.
_WANTED_BY_NONE = ("etc/systemd/system", "usr/lib/systemd/system/multi-user.target.wants")


class RigError(Exception):
    """The host could not be made."""


@dataclass(frozen=True, slots=True)
class Booted:
    """A host: its first process as this machine numbers it, and an inventory that leads to it."""

    pid: int
    root: Path
    inventory: Path

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program there, as root."""
        argv = ["nsenter", f"--target={self.pid}", "--all", "--root", "--wd", "--", *words]
        return subprocess.run(argv, check=check, capture_output=True, text=True)


def missing() -> str:
    """Return why no such host can be made here, for pytest.skip; empty when one can."""
    if os.geteuid() != 0:
        return "a host that systemd boots needs root"
    absent = [p for p in PROGRAMS if shutil.which(p) is None]
    return f"a host that systemd boots needs {', '.join(absent)}: make test-tools" if absent else ""


@contextmanager
def booted(work: Path) -> Iterator[Booted]:
    """Boot one for as long as the block lasts; raise `RigError` where it does not come up."""
    layers, root = work / "layers", work / "root"
    for path in (layers, root):
        path.mkdir(parents=True)
    _call("mount", "-t", "tmpfs", "tmpfs", layers)
    try:
        (layers / "up").mkdir()
        (layers / "work").mkdir()
        _call(
            "mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir=/,upperdir={layers}/up,workdir={layers}/work", root,
        )  # fmt: skip
        try:
            yield from _running(work, root)
        finally:
            _call("umount", "--lazy", root)
    finally:
        _call("umount", "--lazy", layers)


def _running(work: Path, root: Path) -> Iterator[Booted]:
    for name in _WANTED_BY_NONE:
        for path in (root / name).glob("*"):
            if path.is_dir() and not path.is_symlink() and path.name.endswith(".wants"):
                shutil.rmtree(path)
            elif name.endswith(".wants"):
                path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/fstab").write_text("")
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    _make_keys(work, root)
    words = [
        "systemd-nspawn",
        "-q",
        "-b",
        "-D",
        root,
        f"--machine=booted-{os.getpid()}",
        "--register=no",
        "--keep-unit",
    ]
    words += ["--private-network", "--capability=all", "--system-call-filter=bpf perf_event_open"]
    words += ["--console=read-only", "--bind-ro=/sys/kernel/tracing", "--link-journal=no", "--resolv-conf=off"]
    with (work / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [str(w) for w in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        pid = _await_up(process, work / "console.log")
        yield Booted(pid, Path(f"/proc/{pid}/root"), _write_inventory(work, pid))
    finally:
        # Its first process outlives systemd-nspawn, and with it all that the host has.
        for one in _children(process.pid):
            os.kill(one, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_up(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        for pid in _children(process.pid):
            argv = ["nsenter", f"--target={pid}", "--all", "--root", "--wd", "--", "systemctl", "is-system-running"]
            said = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.strip()
            if said in ("running", "degraded"):
                return pid
        time.sleep(0.1)  # nothing announces it
    raise RigError(f"systemd did not come up: {log.read_text(errors='replace')[-2000:]}")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _make_keys(work: Path, root: Path) -> None:
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key")
    there = root / "run-ssh"  # /run is made anew
    there.mkdir()
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", there / "host_key")
    shutil.copy(work / "key.pub", there / "authorized_keys")
    (there / "sshd_config").write_text(
        "HostKey /run-ssh/host_key\nAuthorizedKeysFile /run-ssh/authorized_keys\nUsePAM no\nPermitRootLogin yes\n"
        "StrictModes no\nSubsystem sftp internal-sftp\nPidFile none\n"
    )


def _write_inventory(work: Path, pid: int) -> Path:
    """Return an inventory that has each connection served by an sshd of its own, in the host and without a network."""
    inside = "mkdir -p /run/sshd && exec /usr/sbin/sshd -i -f /run-ssh/sshd_config"
    proxy = f'nsenter --target={pid} --all --root --wd -- sh -c "{inside}"'
    script = work / "reach"
    script.write_text(f"#!/bin/sh\nexec {proxy}\n")
    script.chmod(0o755)
    options = ["-F none", "-o StrictHostKeyChecking=no", "-o UserKnownHostsFile=/dev/null", "-o LogLevel=ERROR"]
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(work / "key"),
        "ansible_ssh_common_args": " ".join([*options, f"-o ProxyCommand={script}"]),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    path = work / "inventory.yml"
    path.write_text(json.dumps({"all": {"children": {"servers": {"hosts": {"booted": variables}}}}}))
    return path


def _call(*words: object) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True)
