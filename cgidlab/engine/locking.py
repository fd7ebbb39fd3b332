"""One run at a time on a target and in a run directory: locks that the kernel takes back when their holder dies."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cgidlab.engine.execute import Site
from cgidlab.errors import LabError, ProvisionError, StoreError
from cgidlab.starting import command
from cgidlab.terminal import cell

# Every user of a machine has to meet at one place, and this one is there and writable on all of them.
_PLACE = Path("/var/tmp")  # noqa: S108 -- a link or a file of somebody else does no harm: it is never written to


class TargetBusyError(ProvisionError):
    """Somebody else has the hosts."""


@contextmanager
def exclusive(site: Site, place: Path = _PLACE) -> Iterator[None]:
    """Have the site's hosts to oneself; raise `ProvisionError` with who has them otherwise.

    Two runs on one machine would measure each other. The lock is the kernel's,
    on an empty file: what a dead process held is free.
    """
    path = place / f"cgidlab-{_name(site)}.lock"
    try:
        handle = _locked(path)
    except OSError as err:
        there = "remove it, or have its owner do that: no run made it" if path.is_symlink() or path.exists() else ""
        raise LabError(
            f"cannot lock the target: {err.strerror}",
            where=str(path),
            fix=there or f"let this user make a file in {path.parent}",
        ) from err
    try:
        yield
    finally:
        with suppress(OSError):  # another user's file stays
            path.unlink()
        os.close(handle)


@contextmanager
def beside_a_run(site: Site, place: Path = _PLACE) -> Iterator[str]:
    """Look at the site's hosts, also while a run has them: yield who has them, '' for nobody, who then cannot begin."""
    try:
        with exclusive(site, place):
            yield ""
            return
    except TargetBusyError as err:
        busy = err.what
    yield busy


@contextmanager
def of_run(directory: Path) -> Iterator[None]:
    """Have a run directory to oneself; raise `ProvisionError` with who has it otherwise.

    The lock is the kernel's, on the directory itself: nothing is left of it, and a dead process holds none.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        raise StoreError(f"cannot lock the run directory: {err.strerror}", where=str(directory)) from err
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise ProvisionError(
                f"this run directory is in use: {_holder(handle)}",
                where=str(directory),
                fix=f"wait until it has ended; how far it is: {command('status')}",
            ) from err
        yield
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(handle)):
                return handle
        except BlockingIOError as err:
            holder = _holder(handle)
            os.close(handle)
            raise TargetBusyError(
                f"another run has this target: {holder}", where=str(path), fix="wait until it has ended"
            ) from err
        os.close(handle)  # its holder ended, and took the name away, between our two calls


def _name(site: Site) -> str:
    """Return the same name for the same inventory, whatever directory the project lies in for the one it brings."""
    if site.inventory.parent == site.root / "inventories":
        return site.inventory.stem
    return hashlib.sha256(str(site.inventory.resolve()).encode()).hexdigest()[:16]


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO of somebody else keeps nobody
    try:
        # Without O_CREAT: the kernel refuses that for another user's file in a directory of all.
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)


def _holder(handle: int) -> str:
    """Return who holds the lock, as /proc/locks knows it."""
    inode = str(os.fstat(handle).st_ino)
    try:
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                words = Path(f"/proc/{fields[4]}/cmdline").read_bytes().decode(errors="replace").split("\0")
                return f"process {fields[4]} ({cell(' '.join(words).strip())})"
    except (OSError, IndexError):
        pass
    return "a process that cannot be seen from here"
