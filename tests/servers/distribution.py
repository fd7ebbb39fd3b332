"""The distribution's own packages on a host made of namespaces: fetched once, installed there alone."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.rigs import ssh_hosts

HOST = "h1"
_SERVICES_STAY_DOWN = "#!/bin/sh\nexit 101\n"  # Debian's policy for hosts on which a package's service may not start


def fetch(directory: Path, *names: str) -> list[Path]:
    """Return the packages of these names and those that they need, without installing anything here.

    None where this machine, on whose root hosts stand, has them all.
    """
    if all(_version(name) for name in names):
        return []
    (directory / "partial").mkdir()
    if shutil.which("apt-get") is None:
        pytest.skip("this distribution has no apt-get")
    _apt_get("update", "-qq")
    _apt_get(
        "-o", f"Dir::Cache::archives={directory}", "install", "-qq", "-y", "--no-install-recommends", "--download-only",
        *names,
    )  # fmt: skip
    return sorted(directory.glob("*.deb"))


@cache
def _apt_get(*words: str) -> None:
    ran = subprocess.run(["apt-get", *words], check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        pytest.skip(f"the packages cannot be had: {ran.stderr.strip()[-500:]}")


def _version(package: str) -> str:
    """Return the version of a package that this machine has, "" where it has not."""
    argv = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]
    said = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.split()
    return said[1] if said[:1] == ["installed"] else ""


def version(rig: ssh_hosts.Rig, package: str) -> str:
    """Return what its authors call the version of a package on the host: without what a distribution adds."""
    return re.sub(r"^\d+:|[-+~].*", "", rig.run(HOST, "dpkg-query", "-W", "-f", "${Version}", package).stdout)


def install(rig: ssh_hosts.Rig, packages: Sequence[Path]) -> None:
    """Install packages on the host; no service starts."""
    root = rig[HOST].root
    for package in packages:
        shutil.copy(package, root / "opt")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text(_SERVICES_STAY_DOWN)
    policy.chmod(0o755)
    if packages:
        rig.run(HOST, "dpkg", "-i", *(f"/opt/{p.name}" for p in packages))
    rig.run(HOST, "mkdir", "-p", "/run/lock")  # which systemd makes where it runs


def start(rig: ssh_hosts.Rig, *argv: str) -> "subprocess.Popen[bytes]":
    """Start a program on the host."""
    words = ["nsenter", f"--target={rig[HOST].pid}", "--all", "--root", "--wd", "--", *argv]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def await_true(condition: Callable[[], bool], timeout_s: float = 60.0, why: Callable[[], str] = lambda: "") -> None:
    """Return when `condition` is true; fail when it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)  # nothing announces it
