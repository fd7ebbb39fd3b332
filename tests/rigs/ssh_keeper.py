"""The processes behind tests/rigs/ssh_hosts.py: a keeper that ends all hosts with itself, and hosts' first processes.

The keeper's network namespace is the switch: a bridge with one cable to the caller's namespace and one to each host.
It ends when its standard input closes (attended: its starter died, however) or at SIGTERM, and hosts, interfaces and
mounts vanish with it, because none of them exists outside of a namespace that it or a host holds.
"""

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

NETWORK = "198.{}.{}"  # RFC 2544's range for tests of networks: 198.18.0.0 to 198.19.255.255
LAB_USER, LAB_UID = "lab", 4711  # has no way to become root
# What a host of its own would not have from the machine that it is made on.
HIDDEN = ("/tmp", "/var/tmp", "/root", "/home", "/etc/ssh")  # noqa: S108 -- names inside of the host
# Where a host sees the layer of its own: what it wrote, and nothing that this machine wrote beneath it.
WRITTEN = "/run/written"
_SSHD_CONFIG = """\
ListenAddress {address}
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 100
PidFile none
Subsystem sftp internal-sftp
"""


def _run(*argv: object) -> None:
    ran = subprocess.run([str(a) for a in argv], check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: {ran.stderr.strip()}")


# --- the keeper ---


def keep(order: dict[str, Any]) -> None:
    """Make the network and the hosts, write `rig.json`, and stay until told to end."""
    directory = Path(order["directory"])
    lock, network, number = _free_network()
    port = f"cgl{number:04x}"
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "switch", "type", "bridge")
    _run("ip", "link", "set", "switch", "up")
    caller = f"/proc/{order['caller']}/ns/net"
    _run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", port, "netns", caller)
    _run("ip", "link", "set", "uplink", "master", "switch", "up")
    for words in (("addr", "add", f"{network}.1/24", "dev", port), ("link", "set", port, "up")):
        _run("nsenter", f"--net={caller}", "ip", *words)
    hosts = [_host(order, name, f"{network}.{n}") for n, name in enumerate(order["hosts"], start=11)]
    rig = {"keeper": os.getpid(), "sockets": order["sockets"], "hosts": hosts}
    temporary = directory / "rig.json.tmp"
    temporary.write_text(json.dumps(rig, indent=1))
    temporary.replace(directory / "rig.json")
    wake, signalled = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(signalled, b"x"))
    select.select([wake, *([0] if order["attended"] else [])], [], [])
    _run("ip", "link", "del", "uplink")  # at once; what vanishes with its namespace does so some time later
    _end([host["pid"] for host in hosts])
    shutil.rmtree(order["sockets"], ignore_errors=True)
    os.close(lock)


def _free_network() -> tuple[int, str, int]:
    """Return a lock to hold, and the first three numbers of a /24 that no other rig of this machine has."""
    while True:
        number = secrets.randbelow(512)
        network = NETWORK.format(18 + number // 256, number % 256)
        # Never removed: whoever took the name away would let two rigs hold two files of one name.
        path = f"/tmp/cgidlab-rig-{number}.lock"  # noqa: S108 -- all rigs have to meet somewhere
        lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return lock, network, number


def _host(order: dict[str, Any], name: str, address: str) -> dict[str, Any]:
    """Start a host and return what `rig.json` says of it. Its first process is killed with this one."""
    words = json.dumps({**order, "name": name, "address": address})
    log = (Path(order["directory"]) / f"{name}.log").open("ab")
    spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child", "--propagation", "private")
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, sys.executable, __file__, "boot", words],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
    )
    pid = _child(process.pid)
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", pid)
    _run("ip", "link", "set", name, "master", "switch", "up")
    inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip")
    _run(*inside, "link", "set", "lo", "up")
    _run(*inside, "addr", "add", f"{address}/24", "dev", "eth0")
    _run(*inside, "link", "set", "eth0", "up")
    assert process.stdin is not None
    process.stdin.close()  # the host waits for its network
    return {"name": name, "address": address, "pid": pid}


def _child(pid: int) -> int:
    """Return the child of `unshare`: a host's first process, once it has all its namespaces."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.002)  # nothing tells when a process that another one makes is there
    raise SystemExit("a host did not start")


def _end(pids: list[int]) -> None:
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 10)
        os.close(handle)


# --- a host's first process ---


def boot(order: dict[str, Any]) -> None:
    """Give this host a root, a name and an identity of its own, wait for its network and become its sshd."""
    place = Path(order["directory"]) / order["name"]
    place.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={order['disk_mb']}m,mode=755", order["name"], place)
    root, upper, work = place / "root", place / "upper", place / "work"
    for made in (root, upper, work):
        made.mkdir(mode=0o755)
    _furnish(order, upper)
    layers = f"lowerdir={order['lower']},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "-o", layers, order["name"], root)
    _run("mount", "-t", "proc", "proc", root / "proc")
    _run("mount", "-t", "sysfs", "sysfs", root / "sys")
    for shared in ("/dev", "/sys/fs/cgroup"):
        if Path(shared).exists():
            _run("mount", "--rbind", shared, f"{root}{shared}")
    for path, mode in (("dev/shm", "1777"), ("run", "755")):
        _run("mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", root / path)
    subprocess.run(["mount", "-t", "tracefs", "tracefs", root / "sys/kernel/tracing"], check=False, capture_output=True)
    (root / "run/sshd").mkdir(mode=0o755)
    # A kernel has one of these; the programs of another machine must not find it here.
    boot_id = root / "run/boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    _run("mount", "--bind", boot_id, root / "proc/sys/kernel/random/boot_id")
    written = Path(f"{root}{WRITTEN}")
    written.mkdir()
    _run("mount", "--bind", "-o", "ro", upper, written)
    _run("hostname", order["name"])
    sys.stdin.read()
    # pivot_root and not chroot: the kernel refuses user namespaces to whoever sits in a chroot.
    old = root / "run/old"
    old.mkdir()
    os.chdir(root)
    _run("pivot_root", ".", "run/old")
    os.chroot(".")
    os.chdir("/")
    _run("umount", "-l", "/run/old")
    _run("rmdir", "/run/old")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    argv = ["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"]
    os.execve(argv[0], argv, environment)  # noqa: S606 -- there is no shell in between


def _furnish(order: dict[str, Any], upper: Path) -> None:
    """Write into the host's own layer what makes it a machine of its own."""
    lower = Path(order["lower"])
    for name in (*HIDDEN, *order["hidden"]):
        path = upper / name.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        os.setxattr(path, "trusted.overlay.opaque", b"y")
    for name in ("tmp", "var/tmp"):
        (upper / name).chmod(0o1777)
    (upper / "root").chmod(0o700)
    etc = upper / "etc"
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (etc / "hostname").write_text(f"{order['name']}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{order['address']} {order['name']}\n")
    passwd = (lower / "etc/passwd").read_text()
    (etc / "passwd").write_text(f"{passwd}{LAB_USER}:x:{LAB_UID}:{LAB_UID}::/home/{LAB_USER}:/bin/sh\n")
    (etc / "group").write_text(f"{(lower / 'etc/group').read_text()}{LAB_USER}:x:{LAB_UID}:\n")
    # "*": no password fits, and yet not locked, which sshd would refuse a key for.
    others = [line for line in (lower / "etc/shadow").read_text().splitlines() if not line.startswith("root:")]
    shadow = etc / "shadow"
    shadow.touch(mode=0o600)
    shadow.write_text("\n".join(["root:*:19000:0:99999:7:::", f"{LAB_USER}:*:19000:0:99999:7:::", *others]) + "\n")
    home = upper / "home" / LAB_USER
    home.mkdir()
    os.chown(home, LAB_UID, LAB_UID)
    ssh, given = etc / "ssh", Path(order["directory"])
    ssh.chmod(0o755)
    (ssh / "sshd_config").write_text(_SSHD_CONFIG.format(address=order["address"]))
    shutil.copyfile(given / "key.pub", ssh / "authorized_keys")
    shutil.copyfile(given / f"{order['name']}.host_key", ssh / "host_key")
    (ssh / "host_key").chmod(0o600)


if __name__ == "__main__":
    {"keep": keep, "boot": boot}[sys.argv[1]](json.loads(sys.argv[2]))
