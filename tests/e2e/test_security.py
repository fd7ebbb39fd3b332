"""Nobody is let in and nothing is told: planted secrets stay where they were, and the server under test is not root."""

import gzip
import secrets
import signal
import stat
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from cgidlab.files import DIRECTORY_MODE, FILE_MODE
from tests.e2e.test_faults import Run
from tests.waiting import eventually

pytestmark = [pytest.mark.needs_root, pytest.mark.slow]

# What a user may have, and where: the name says which one was found.
PLANTED = {
    name: f"canary-{name}-{secrets.token_hex(8)}"
    for name in ("environment", "become", "login", "vault", "key", "passphrase")
}
NOBODY = 65534
_SERVERS_OWN = {"httpd", "h2load", "hello"}


def found_in(data: bytes) -> set[str]:
    """Return which of the planted secrets a text holds."""
    return {name for name, secret in PLANTED.items() if secret.encode() in data}


class Watch:
    """Looks at every process list there is until it is left: command lines, and who the trial's own programs are."""

    def __init__(self, mark: str = "") -> None:
        self._mark = mark.encode()  # that the trial's own programs carry
        self.told: set[tuple[str, str]] = set()  # (secret, command line)
        self.kept: set[tuple[str, str]] = set()  # (secret, program of the trial that has it in its environment)
        self.users: dict[str, set[int]] = {}  # of the trial's own programs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            for path in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    self._look_at(path)

    def _look_at(self, path: Path) -> None:
        words = (path / "cmdline").read_bytes()
        self.told |= {(name, words.decode(errors="replace")) for name in found_in(words)}
        program = (path / "comm").read_text().strip()
        if program in _SERVERS_OWN and b"--version" not in words:  # which provisioning asks for
            environment = (path / "environ").read_bytes()
            if self._mark in words + environment:
                self.kept |= {(name, program) for name in found_in(environment)}
                # The owner of its files here is root where the kernel keeps a process from being dumped.
                line = next(li for li in (path / "status").read_text().splitlines() if li.startswith("Uid:"))
                self.users.setdefault(program, set()).update(int(uid) for uid in line.split()[1:])


def search(directory: Path) -> dict[str, set[str]]:
    """Return the files below a directory that hold planted secrets, packed ones unpacked, and which."""
    found = {}
    for path in directory.rglob("*"):
        with suppress(OSError):  # gone meanwhile, or no file
            data = path.read_bytes() if path.is_file() else b""
            data += gzip.decompress(data) if data.startswith(b"\x1f\x8b") else b""
            if secrets_found := found_in(data + str(path).encode()):
                found[str(path)] = secrets_found
    return found


def inventory_with_secrets(run: Run) -> Path:
    """Write an inventory that holds secrets and names files that do."""
    private = run.place / "private"
    private.mkdir(mode=0o700)
    for name in ("key", "passphrase", "vault"):
        (private / name).write_text(PLANTED[name])
    hosts = {"local": None}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "host_work_dir": str(run.work),
        "ansible_become_password": PLANTED["become"],
        "ansible_password": PLANTED["login"],
        "ansible_ssh_private_key_file": str(private / "key"),
        "ansible_ssh_private_key_passphrase": PLANTED["passphrase"],
    }
    groups = {"servers": {"hosts": hosts}, "generators": {"hosts": hosts}}
    path = private / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"children": groups, "vars": variables}}))
    return path


def test_a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root(
    provisioned_host: dict[str, Any], tmp_path: Path, repo_root: Path
) -> None:
    """One run for all of it: killed in a trial, so that nothing could be tidied up, and then brought to its end."""
    assert provisioned_host
    run = Run(tmp_path, repo_root)
    words = ("--target", str(inventory_with_secrets(run)))
    with pytest.MonkeyPatch.context() as patch, Watch(f"{run.place}/") as watch:
        patch.setenv("MY_TOKEN", PLANTED["environment"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED["environment"])
        patch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(run.place / "private" / "vault"))
        try:
            run.start(*words)
            assert run.under_load()
            run.send(signal.SIGKILL)
            assert run.process is not None
            run.process.communicate()
            assert eventually(lambda: not run.processes()), run.processes()
            assert search(run.place / "results") == {}, "right after the kill"
            assert search(run.work) == {}, "on the host, right after the kill"
            assert run.start("--resume", *words).end() == 0, run.output
        finally:
            if run.process is not None and run.process.poll() is None:
                run.process.kill()
                run.process.communicate()

    assert run.state() == "finished"
    assert (run.directory / "report.html").exists()
    assert search(run.place / "results") == {}
    assert found_in(run.output.encode()) == set()
    assert watch.told == set(), "in process lists"
    assert watch.kept == set(), "in the environment of the trial's own programs"
    assert {"httpd", "h2load"} <= watch.users.keys()
    assert watch.users["httpd"] == {NOBODY}
    assert watch.users.get("hello", {NOBODY}) == {NOBODY}
    for path in run.directory.rglob("*"):
        about = path.lstat()
        if not stat.S_ISLNK(about.st_mode):
            want = DIRECTORY_MODE if stat.S_ISDIR(about.st_mode) else FILE_MODE
            assert oct(stat.S_IMODE(about.st_mode)) == oct(want), path


def test_the_search_finds_a_secret_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text(f"x{PLANTED['become']}x")
    (tmp_path / "packed").write_bytes(gzip.compress(PLANTED["vault"].encode()))

    with Watch() as watch:
        subprocess.run(["/bin/sh", "-c", f": {PLANTED['key']}; sleep 0.5; :"], check=True)

    assert search(tmp_path) == {str(tmp_path / "plain"): {"become"}, str(tmp_path / "packed"): {"vault"}}
    assert {name for name, _ in watch.told} == {"key"}


def test_nobody_but_root_can_write_where_scripts_are(provisioned_host: dict[str, Any]) -> None:
    scripts = Path(provisioned_host["scripts_dir"])

    for path in (*scripts.iterdir(), scripts, *scripts.parents):
        about = path.stat()
        assert about.st_uid == 0, path
        assert not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
