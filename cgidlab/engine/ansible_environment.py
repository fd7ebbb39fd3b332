"""What Ansible's programs need of their environment beside the user's own."""

import atexit
import locale
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cgidlab import files


def of(root: Path) -> dict[str, str]:
    """Return the variables, for a project below `root`."""
    return {
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # ansible-runner turns it off where the environment does not say, whatever ansible.cfg says.
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # It does not start in another one.
        **({} if locale.getencoding().upper() == "UTF-8" else {"LC_ALL": "C.UTF-8"}),
        **({} if _may_keep() else {"ANSIBLE_HOME": _home(), "ANSIBLE_REMOTE_TEMP": "/tmp"}),  # noqa: S108 -- it makes a directory of its own there
    }


@contextmanager
def own_tmp(directory: Path) -> Iterator[dict[str, str]]:
    """Have modules on this machine unpack themselves in a directory, where what a killed one leaves is found.

    It is named by a descriptor, where there is /proc: ansible-core 2.21 listens on a unix socket in it, and the path of
    one has 107 bytes at most, which those of run directories exceed.
    """
    path = directory.resolve()
    files.make_directory(path)
    place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/{os.getpid()}/fd/{place}"
        yield {"TMPDIR": short if Path(short).is_dir() else str(path)}
    finally:
        os.close(place)


def _may_keep() -> bool:
    """Say whether Ansible can keep its sockets and its scraps where it does, in the user's home."""
    place = Path(os.environ.get("ANSIBLE_HOME") or "~/.ansible").expanduser()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)  # as Ansible does
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)


@cache
def _home() -> str:
    made = tempfile.mkdtemp(prefix="cgl-")  # short: a socket's path is
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
