"""A Debian root made ready by the project's own roles at this machine's speed, kernels for it, and disks made of both.

Needs root, mmdebstrap, kmod, busybox-static, e2fsprogs and openssh-server (playbooks/guest-tools.yml installs them).
Under software emulation a compiler takes a quarter of an hour for what it does here in a minute, so that the root is
provisioned before it becomes a disk: the machine that boots from it is provisioned again, and finds all there.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgidlab import calibrate
from cgidlab.design import catalogue
from cgidlab.engine import ansible, execute
from cgidlab.engine.loading import Request, load_plan

REPO = Path(__file__).resolve().parents[2]
FRESH_MACHINE = REPO / "tests" / "rigs" / "fresh_machine.sh"
PACKAGES = "openssh-server python3 sudo systemd-sysv dbus udev ifupdown isc-dhcp-client iproute2 kmod ca-certificates"
PROGRAMS = ("mmdebstrap", "mke2fs", "depmod", "/bin/busybox", "sshd", "ssh-keygen", "dpkg-deb")
# For Ansible, whose own 10 s and single try an emulated machine does not always keep.
PATIENCE = {"ANSIBLE_TIMEOUT": "180", "ANSIBLE_SSH_RETRIES": "5"}
START_S = 600.0  # this machine may be busy, and an emulated one is slow
_LOOK_S = 0.2
_DISK_MB = 3000
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What a machine with virtio disks and network needs before it has a root (ext4 asks for crc32c by its name, which
# modules.dep does not know); what it needs later is loaded from there.
_EARLY = ("virtio_pci", "virtio_blk", "virtio_net", "crc32c_generic", "ext4")
_NOT_NEEDED = ("sound", "drivers/gpu", "drivers/media", "drivers/net/wireless", "drivers/infiniband", "drivers/staging")
_INIT = """\
#!/bin/busybox sh
export PATH=/bin
for pair in proc:/proc sysfs:/sys devtmpfs:/dev; do busybox mount -t ${pair%:*} none ${pair#*:}; done
for module in $(busybox cat /modules/order); do busybox insmod /modules/$module; done
until [ -b /dev/vda ]; do busybox usleep 50000; done
busybox mount -t ext4 /dev/vda /root || busybox poweroff -f
for place in proc sys dev; do busybox mount --move /$place /root/$place; done
exec busybox switch_root /root /sbin/init
"""


class RigError(Exception):
    """The rig could not do what was asked; the message says why."""


def check(programs: tuple[str, ...] = PROGRAMS) -> None:
    """Raise `RigError` where no guest can be made, with what is missing."""
    if os.geteuid() != 0:
        raise RigError("guests are made by root")
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    absent = [name for name in programs if shutil.which(name, path=path) is None]
    if absent:
        raise RigError(f"guests need {', '.join(absent)}: run make guest-tools")


def call(*argv: str | Path, **options: Any) -> str:  # noqa: ANN401 -- passed on to subprocess
    """Run a program and return what it prints; raise `RigError` with its words when it fails."""
    words = ["/usr/bin/env", *argv]
    try:
        ran = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    except subprocess.TimeoutExpired as err:
        raise RigError(f"{argv[0]} did not end in {err.timeout:.0f} s") from err
    if ran.returncode != 0:
        raise RigError(f"{' '.join(str(a) for a in argv)} exited with {ran.returncode}:\n{ran.stdout[-3000:]}")
    return str(ran.stdout)


def say(text: str) -> None:
    """Tell the user what is going on, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Guest:
    """Where a guest answers SSH, and what proves who it is."""

    name: str
    address: str
    port: int
    directory: Path  # holds `key` and `known_hosts`

    @property
    def ssh_options(self) -> dict[str, str]:
        """Return what ssh needs to know beside address, port and key."""
        return {
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": self.name,
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
        }

    def run(self, command: str, **options: Any) -> str:  # noqa: ANN401 -- passed on to subprocess
        """Run a command of sh on the guest as root and return what it prints."""
        settings = [f"-o{key}={value}" for key, value in self.ssh_options.items()]
        key = self.directory / "key"
        return call(
            "ssh", "-Fnone", *settings, "-i", key, "-p", str(self.port), f"root@{self.address}", command, **options
        )

    def write_inventory(self) -> Path:
        """Write an inventory with this guest in both groups, and return its path."""
        arguments = " ".join(["-Fnone", *(f"-o{key}={value}" for key, value in self.ssh_options.items())])
        variables = {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.directory / "key"),
            "ansible_ssh_common_args": arguments,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        groups = {group: {"hosts": {self.name: variables}} for group in ("servers", "generators")}
        path = self.directory / f"{self.name}.json"
        path.write_text(json.dumps({"all": {"children": groups}}, indent=1) + "\n")
        return path

    def wait(self, process: subprocess.Popen[bytes], log: Path) -> float:
        """Return after how many seconds it answered; raise `RigError` with the end of its log when it does not."""
        began_s = time.monotonic()
        while True:
            with contextlib.suppress(RigError):
                self.run("true", timeout=60)
                return time.monotonic() - began_s
            if process.poll() is not None or time.monotonic() - began_s > START_S:
                end = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise RigError(f"{self.name} does not answer SSH:\n{end}")
            time.sleep(_LOOK_S)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def make_root(work: Path, *, suite: str = "bookworm", packages: str = PACKAGES) -> Path:
    """Make a Debian root that the key in `work` opens for root; return it. One that is there whole is kept."""
    root, done = work / "root", work / "root.done"
    if done.exists():
        return root
    say(f"making a {suite} root (mmdebstrap, about a minute)")
    work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    call(FRESH_MACHINE, "create", root, env={**os.environ, "FRESH_SUITE": suite, "FRESH_PACKAGES": packages})
    furnish(root, work)
    done.touch()
    return root


def furnish(root: Path, work: Path, name: str = "guest") -> None:
    """Give a root a name, a key that opens it for root, and a network by DHCP; write `known_hosts` for it."""
    if not (work / "key").exists():
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key")
    keys = root / "root" / ".ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "authorized_keys").write_text((work / "key.pub").read_text())
    call("chroot", root, "ssh-keygen", "-A")
    host_key = " ".join((root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])
    (work / "known_hosts").write_text(f"{name} {host_key}\n")
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/machine-id").write_text("")  # each boot from a fresh disk is another machine
    interfaces = root / "etc/network/interfaces"
    if interfaces.parent.is_dir():
        interfaces.write_text("auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n")
    # Nothing may download or rearrange in the background of a trial.
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "man-db.timer", "e2scrub_all.timer"):
        mask = root / "etc/systemd/system" / timer
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")


@contextlib.contextmanager
def served(root: Path, work: Path, name: str = "guest") -> Iterator[Guest]:
    """Have the root answer SSH on the loopback address, with this machine's kernel and network."""
    guest = Guest(name, "127.0.0.1", free_port(), work)
    log = work / "sshd.log"
    command = f"mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -o ListenAddress=127.0.0.1 -p {guest.port}"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [FRESH_MACHINE, "shell", root, command], stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        guest.wait(process, log)
        yield guest
    finally:
        end(process)


def provision(guest: Guest, work: Path, experiments: tuple[Path, ...]) -> None:
    """Run the project's provisioning on a guest for the experiments and for a calibration."""
    inventory = guest.write_inventory()
    plans = [load_plan(Request(path, REPO, target=str(inventory))).plan for path in experiments]
    known = catalogue.load(REPO / "roles")
    plans.append(calibrate.make_plan(known, target=str(inventory), httpds=["distro"], controls_only=False))
    watch = ansible.Callbacks(on_task=lambda task: say(f"  {task}"))
    for number, plan in enumerate(plans):
        directory = work / "provision" / str(number)
        shutil.rmtree(directory, ignore_errors=True)
        places = (directory / "hosts", directory / "snapshots", directory / "ansible")
        execute.provision(execute.Site(REPO, inventory), plan, *places, watch)


def kernel(work: Path, suite: str) -> Path:
    """Fetch the kernel of a Debian suite and return its directory: `vmlinuz`, `initrd`, `modules/`, `release`.

    The archive is the one that this machine uses; its signature is checked by apt.
    """
    directory = work / "kernels" / suite
    if (directory / "release").exists():
        return directory
    say(f"fetching the kernel of {suite}")
    shutil.rmtree(directory, ignore_errors=True)
    unpacked = directory / "unpacked"
    unpacked.mkdir(parents=True)
    apt = _private_apt(directory / "apt", suite)
    call(*apt("apt-get"), "-q", "update")
    depends = call(*apt("apt-cache"), "depends", "--no-recommends", "linux-image-amd64")
    image = next(line.split()[1] for line in depends.splitlines() if "linux-image-" in line and "Depends" in line)
    call(*apt("apt-get"), "-q", "download", image, cwd=directory)
    call("dpkg-deb", "-x", next(directory.glob("linux-image-*.deb")), unpacked)
    vmlinuz = next(unpacked.glob("boot/vmlinuz-*"))
    release = vmlinuz.name.removeprefix("vmlinuz-")
    found = next(p for p in (unpacked / "usr/lib/modules", unpacked / "lib/modules") if p.is_dir()) / release
    modules = directory / "modules" / "usr/lib/modules" / release
    modules.parent.mkdir(parents=True)
    found.rename(modules)
    for part in _NOT_NEEDED:
        shutil.rmtree(modules / "kernel" / part, ignore_errors=True)
    vmlinuz.rename(directory / "vmlinuz")
    (directory / "modules" / "lib").symlink_to("usr/lib")
    call("depmod", "-b", directory / "modules", release)
    (directory / "modules" / "lib").unlink()
    _initrd(directory, modules)
    shutil.rmtree(unpacked)
    shutil.rmtree(directory / "apt")
    (directory / "release").write_text(release + "\n")
    return directory


def _private_apt(place: Path, suite: str) -> Any:  # noqa: ANN401 -- a function from a program to its words
    """Return what makes a command of apt use one suite alone and keep its state to itself."""
    (place / "lists" / "partial").mkdir(parents=True)
    (place / "cache" / "archives" / "partial").mkdir(parents=True)
    uris = call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian").split()
    if not uris:
        raise RigError("apt knows no archive of Debian on this machine")
    (place / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {uris[0]} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": place / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": place / "lists",
        "Dir::Cache": place / "cache",
        # Suites that are no longer kept up have an index that says it is out of date; its signature still counts.
        "Acquire::Check-Valid-Until": "false",
        "APT::Sandbox::User": "root",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return lambda program: [program, *words]


def _initrd(directory: Path, modules: Path) -> None:
    """Make an initrd of busybox and the modules that lead to the disk, in an order in which they can be loaded."""
    dependencies = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        dependencies[path] = needs.split()
    names = {Path(path).name.partition(".")[0].replace("-", "_"): path for path in dependencies}
    order: list[str] = []
    # What is not there as a module is built in.
    for path in (names[name] for name in _EARLY if name in names):
        order += [one for one in (*reversed(dependencies[path]), path) if one not in order]
    tree = directory / "tree"
    for part in ("bin", "proc", "sys", "dev", "root", "modules"):
        (tree / part).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin")
    for path in order:
        target = tree / "modules" / Path(path).name
        shutil.copy(modules / path, target)
        if target.suffix == ".xz":
            call("unxz", target)
    listed = [Path(path).name.removesuffix(".xz") for path in order]
    (tree / "modules" / "order").write_text("\n".join(listed) + "\n")
    (tree / "init").write_text(_INIT)
    (tree / "init").chmod(0o755)
    files = "\n".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["/bin/busybox", "cpio", "-o", "-H", "newc"], input=files.encode(), cwd=tree, capture_output=True, check=True
    )
    (directory / "initrd").write_bytes(packed.stdout)
    shutil.rmtree(tree)


def make_disk(root: Path, modules: Path, disk: Path) -> None:
    """Make an ext4 disk of a root and a kernel's modules, without loop devices."""
    say(f"making {disk.name}")
    merged = disk.with_suffix(".merged")
    merged.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={modules}:{root}", merged)
    try:
        temporary = disk.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        call("mke2fs", "-q", "-t", "ext4", "-d", merged, temporary, f"{_DISK_MB}M")
        temporary.rename(disk)
    finally:
        call("umount", merged)
        merged.rmdir()
