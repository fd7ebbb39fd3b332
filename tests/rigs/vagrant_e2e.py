"""The Vagrantfile as it is, really booted: a box of our own, libvirt under software emulation, two trials, destroy.

    .venv/bin/python -m tests.rigs.vagrant_e2e DIR

DIR keeps the root, the kernel and the box; what Vagrant and libvirt keep is made anew. libvirtd, its bridges, its DHCP
server, the machines and all that talks to them live in a network, mount and PID namespace and are gone with it. The box
brings what this machine needs to boot it (driver, kernel, initrd, patience); the Vagrantfile knows nothing of that.
CGIDLAB_GENERATORS=0 boots the server alone, which is twice as fast.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rigs import guest as guests
from tests.rigs import vm

SUITE = "bookworm"
BOX = "cgidlab-debian.box"
PROGRAMS = (*vm.PROGRAMS, "vagrant", "libvirtd", "virsh", "dnsmasq", "iptables", "unshare")
_START_S = 120.0
_LOOK_S = 0.2
# Everything of libvirt's that would else be this machine's own.
_PRIVATE = ("/etc/libvirt", "/var/lib/libvirt", "/run/libvirt", "/var/log/libvirt", "/var/cache/libvirt")
_LIBVIRTD_CONF = 'auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_group = "root"\n'
_QEMU_CONF = """\
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
remember_owner = 0
user = "root"
group = "root"
"""
_BOX_VAGRANTFILE = """\
Vagrant.configure('2') do |config|
  config.vm.boot_timeout = 1200
  config.ssh.connect_timeout = 180
  config.vm.provider 'libvirt' do |domain|
    domain.driver = 'qemu'
    domain.kernel = File.expand_path('vmlinuz', __dir__)
    domain.initrd = File.expand_path('initrd', __dir__)
    domain.cmd_line = 'console=ttyS0 net.ifnames=0 quiet'
    domain.graphics_type = 'none'
    domain.video_type = 'none'
    domain.management_network_name = 'cgidlab-management'
    domain.management_network_address = '192.168.121.0/24'
  end
end
"""


def make_box(work: Path) -> Path:
    """Make the box and a CHECKSUM beside it, once; return the directory of both."""
    place = work / "box"
    if (place / "CHECKSUM").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    kernel = guests.kernel(work, SUITE)
    _add_vagrant(work / "root", work)
    disk = place / "disk.img"
    guests.make_disk(work / "root", kernel / "modules", disk)
    guests.say("making the box")
    guests.call("qemu-img", "convert", "-O", "qcow2", disk, place / "box.img")
    size_gb = -(-disk.stat().st_size // 2**30)
    disk.unlink()
    described = {"provider": "libvirt", "format": "qcow2", "virtual_size": size_gb}
    (place / "metadata.json").write_text(json.dumps(described))
    (place / "Vagrantfile").write_text(_BOX_VAGRANTFILE)
    for name in ("vmlinuz", "initrd"):
        shutil.copy(kernel / name, place)
    parts = ("metadata.json", "Vagrantfile", "vmlinuz", "initrd", "box.img")
    with tarfile.open(place / BOX, "w") as box:
        for name in parts:
            box.add(place / name, arcname=name)
    for name in parts:
        (place / name).unlink()
    (place / "wrong.box").write_text("not what its checksum promises\n")
    with (place / BOX).open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    other = hashlib.sha256(b"what it promises").hexdigest()
    (place / "CHECKSUM").write_text(f"SHA256 ({BOX}) = {sha256}\nSHA256 (wrong.box) = {other}\n")
    return place


def _add_vagrant(root: Path, work: Path) -> None:
    """Give the root the user that every box has: vagrant, with sudo and the public key that Vagrant replaces."""
    home = root / "home" / "vagrant"
    if not home.exists():
        guests.call("chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", "vagrant")
    (root / "etc/sudoers.d/vagrant").write_text("vagrant ALL=(ALL) NOPASSWD: ALL\n")
    # Vagrant writes its well-known key into its home when it first starts.
    vagrant_home = work / "vagrant-key"
    guests.call("vagrant", "box", "list", env={**os.environ, "VAGRANT_HOME": str(vagrant_home)})
    public = guests.call("ssh-keygen", "-y", "-f", vagrant_home / "insecure_private_key")
    keys = home / ".ssh" / "authorized_keys"
    keys.parent.mkdir(mode=0o700, exist_ok=True)
    keys.write_text(public)
    guests.call("chroot", root, "sh", "-c", "chown -R vagrant: ~vagrant/.ssh")
    keys.chmod(0o600)


class Inside:
    """What is done in the namespaces."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.state = work / "vagrant"
        self.generators = os.environ.get("CGIDLAB_GENERATORS", "1")
        self.environment: dict[str, str] = {}

    def run(self) -> int:
        """Bring the machines up, run the sweep on them, destroy them; return the sweep's exit status."""
        guests.call("ip", "link", "set", "lo", "up")
        shutil.rmtree(self.state, ignore_errors=True)
        self._libvirt()
        handler = functools.partial(_Quiet, directory=str(self.work / "box"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_address[1]}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("VAGRANT_", "CGIDLAB_"))},
            "VAGRANT_HOME": str(self.state / "home"),
            "VAGRANT_DOTFILE_PATH": str(self.state / "dotfile"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "CGIDLAB_MEMORY_MB": "1024",
            **guests.PATIENCE,
            "CGIDLAB_GENERATORS": self.generators,
        }
        self._refused(f"{site}/wrong.box")
        self.environment["CGIDLAB_BOX_URL"] = f"{site}/{BOX}"
        try:
            self._told("vagrant", "up")
            self._told("vagrant", "status")
            if self.generators != "0":
                self._told("vagrant", "ssh", "generator1", "-c", "timeout 60 bash -c '</dev/tcp/192.168.56.10/22'")
            results = self.work / "results" / "vagrant"
            # The controls are what vm.py and el_host.py run; here it is the way that counts.
            # Emulated machines start late and tell their time slowly.
            late = ("--set", "max_start_lag_s=5", "--set", "max_clock_offset_s=10")
            options = ("--target", "vagrant", "--results", str(results), "--new", "--uncalibrated", *late)
            return self._told(sys.executable, "runner.py", str(vm.EXPERIMENT), *options, check=False)
        finally:
            self._told("vagrant", "destroy", "-f")

    def _libvirt(self) -> None:
        """Start a libvirtd of our own and wait until it answers."""
        for path in _PRIVATE:
            own = self.state / "libvirt" / path.strip("/").replace("/", "-")
            own.mkdir(parents=True)
            Path(path).mkdir(parents=True, exist_ok=True)
            guests.call("mount", "--bind", own, path)
        Path("/etc/libvirt/libvirtd.conf").write_text(_LIBVIRTD_CONF)
        Path("/etc/libvirt/qemu.conf").write_text(_QEMU_CONF)
        Path("/var/lib/libvirt/images").mkdir()
        with (self.state / "libvirtd.log").open("wb") as stream:
            daemon = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        began_s = time.monotonic()
        while subprocess.run(["virsh", "-c", "qemu:///system", "version"], check=False, capture_output=True).returncode:
            if daemon.poll() is not None or time.monotonic() - began_s > _START_S:
                raise guests.RigError(f"libvirtd does not answer:\n{(self.state / 'libvirtd.log').read_text()[-2000:]}")
            time.sleep(_LOOK_S)

    def _refused(self, url: str) -> None:
        """Show that a box that is not what CHECKSUM says is not taken."""
        environment = {**self.environment, "CGIDLAB_BOX_URL": url}
        guests.say(f"vagrant up with {url}, which is not what CHECKSUM says")
        ran = subprocess.run(
            ["vagrant", "up", "server"],
            cwd=guests.REPO,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(ran.stdout, flush=True)
        if ran.returncode == 0 or "checksum" not in ran.stdout.lower():
            raise guests.RigError("a box with another checksum was not refused for it")

    def _told(self, *words: str, check: bool = True) -> int:
        """Run a command with its output shown, and say how long it took."""
        guests.say(f"$ {' '.join(words)}")
        began_s = time.monotonic()
        code = subprocess.run(
            words, cwd=guests.REPO, env=self.environment, check=False, stdin=subprocess.DEVNULL
        ).returncode
        guests.say(f"exit {code} after {time.monotonic() - began_s:.0f} s")
        if check and code:
            raise guests.RigError(f"{' '.join(words)} exited with {code}")
        return code


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words: Any) -> None:  # noqa: ANN401 -- as the base class has it
        """Say nothing."""


def _in_namespaces(work: Path, environment: Mapping[str, str]) -> int:
    """Start this program again where nothing of it is seen outside, and return its exit status."""
    namespaces = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
    words = ["unshare", *namespaces, sys.executable, "-m", "tests.rigs.vagrant_e2e", "--inside", str(work)]
    return subprocess.run(words, cwd=guests.REPO, env=environment, check=False).returncode


def _reaping(work: Callable[[], int]) -> int:
    """Do the work in a child, and be the first process that a PID namespace needs: who waits for orphans.

    libvirt's qemu is one, and `vagrant destroy` waits until it is gone.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = work()
        except guests.RigError as err:
            print(f"error: {err}", file=sys.stderr)
        except BaseException:  # noqa: BLE001 -- a forked child has nobody above it who could say so
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    work = args.directory.resolve()
    try:
        if args.inside:
            return _reaping(Inside(work).run)
        guests.check(PROGRAMS)
        vm.prepare(work)
        make_box(work)
    except guests.RigError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    return _in_namespaces(work, os.environ)


if __name__ == "__main__":
    sys.exit(main())
