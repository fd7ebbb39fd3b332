"""The only module that starts Ansible. A playbook, an inventory and a file of variables in; values out."""

import contextlib
import json
import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cgidlab import files, processes
from cgidlab.engine import ansible_environment, task_message
from cgidlab.errors import LabError, StoreError

TMP = "tmp"  # in a play's directory, and gone with it
_UNSAFE = "__ansible_unsafe"  # how Ansible's JSON marks text that is no template
_LOOK_S = 0.5  # between looks at `cancelled`
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
_IDENT = "it"  # ansible-runner's name for its one invocation in a directory


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one task, or one item of a looped task, returned on one host."""

    host: str
    task: str
    action: str  # the module's name, as the task has it
    changed: bool
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why one task failed on one host, in its own words."""

    host: str
    task: str
    message: str
    unreachable: bool


@dataclass(frozen=True, slots=True)
class Played:
    """How an invocation of ansible-playbook ended."""

    ok: bool
    cancelled: bool
    timed_out: bool
    changed: Mapping[str, int]  # tasks that changed something, by host
    failures: tuple[TaskFailure, ...]
    directory: Path  # holds vars.json, stdout and rc
    exit_code: int | None = 0  # None: a signal ended ansible-playbook

    @property
    def why(self) -> str:
        """Return why it did not end well, in the first failed task's own words; empty when it did."""
        if self.ok:
            return ""
        if self.timed_out:
            return "ansible-playbook took too long"
        if self.cancelled:
            return "it was stopped"
        if self.failures:
            return self.failures[0].message
        if self.exit_code is None:
            return "ansible-playbook was killed"
        return f"ansible-playbook exited with {self.exit_code} and named no task"


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the caller wants to hear while a playbook runs."""

    on_task: Callable[[str], None] = lambda _name: None
    on_result: Callable[[TaskResult], None] = lambda _result: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class _Collected:
    failures: list[TaskFailure] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)


def play(
    playbook: Path,
    inventory: Path,
    variables: Mapping[str, Any],
    directory: Path,
    *,
    timeout_s: float,
    callbacks: Callbacks | None = None,
    become_password: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Played:
    """Run a playbook and return how it ended; nothing is raised for a task that failed.

    `variables` go through a JSON file and keep their types. `directory` is made,
    and afterwards holds `vars.json`, `stdout` and `rc`; the events are not kept.
    `environment` is what Ansible gets beside this process's own.
    ansible-playbook ends with this process, however that ends; when it is stopped or its time is over, what it
    started on this machine ends too, hung or not. Raises `LabError`
    when it cannot be started, `StoreError` when its words cannot be kept.
    """
    callbacks = callbacks or Callbacks()
    files.make_directory(directory)
    files.write_json(directory / "vars.json", {name: _inert(value) for name, value in variables.items()})
    # ansible-runner takes its settings from this file alone; what is passed to it is dropped without a word.
    files.make_directory(directory / "env")
    files.write_json(directory / "env" / "settings", {"pexpect_timeout": _LOOK_S})
    collected = _Collected()
    with _password_file(become_password) as password_path:
        try:
            own = {
                **({"ANSIBLE_BECOME_PASSWORD_FILE": password_path} if password_path else {}),
                **(environment or {}),
            }
            end = _End(directory / "vars.json", time.monotonic() + timeout_s, callbacks.cancelled)
            with _EventHearer(lambda event: _heard(event, callbacks, collected)) as listener:
                runner = _runner(playbook, inventory, directory, end, listener, own)
        except OSError as err:
            raise StoreError(
                f"cannot keep what ansible-playbook says: {err.strerror}", where=str(directory), fix="make room"
            ) from err
    artifacts = directory / "artifacts"
    for name in ("stdout", "rc"):
        found = next(artifacts.glob(f"*/{name}"), None)
        if found:
            found.chmod(files.FILE_MODE)
            found.replace(directory / name)
    for leftover in ("artifacts", "env", TMP):
        shutil.rmtree(directory / leftover, ignore_errors=True)
    return Played(
        ok=runner.rc == 0 and runner.status == "successful",
        cancelled=runner.status == "canceled" and not end.is_late,
        timed_out=end.is_late,
        changed=collected.changed,
        failures=tuple(collected.failures),
        directory=directory,
        exit_code=runner.rc,
    )


def _inert(value: Any) -> Any:  # noqa: ANN401 -- JSON of any shape
    """Return a value in which Ansible takes no text for a template: much of it comes from files and from hosts.

    All text, whatever is in it: one that begins with `#jinja2:` says itself what a template looks like.
    """
    if isinstance(value, str):
        return {_UNSAFE: value}
    if isinstance(value, Mapping) and list(value) == [_UNSAFE] and isinstance(value[_UNSAFE], str):
        return dict(value)  # it is marked already
    if isinstance(value, Mapping):
        return {key: _inert(inner) for key, inner in value.items()}
    return [_inert(inner) for inner in value] if isinstance(value, list | tuple) else value


def groups(inventory: Path, root: Path) -> dict[str, tuple[str, ...]]:
    """Return the hosts of each group of an inventory, those of its children included. Reaches no host.

    Raises `LabError` with Ansible's own words for what it cannot read.
    """
    # 0.6 s; strictly, since Ansible takes a file that it cannot read for an empty one.
    environment = {**os.environ, **ansible_environment.of(root), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    ran = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "--list", "-i", str(inventory.resolve())],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=root,
    )
    try:
        listed = json.loads(ran.stdout) if ran.returncode == 0 else None
    except ValueError:
        listed = None
    if listed is None:
        raise LabError(f"Ansible cannot read the inventory: {_first_error(ran.stderr)}", where=str(inventory))

    def members(name: str) -> tuple[str, ...]:
        group = listed.get(name, {})
        own = [*group.get("hosts", []), *(host for child in group.get("children", []) for host in members(child))]
        return tuple(dict.fromkeys(own))

    return {name: members(name) for name in listed if name != "_meta"}


def _first_error(text: str) -> str:
    """Return what Ansible says is wrong, without its banner and its colours."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in text.splitlines()]
    told = [re.sub(r"^\[?(ERROR|WARNING)\]?:?\s*", "", line) for line in lines if re.match(r"\[?(ERROR|WARNING)", line)]
    return " ".join(told)[:500] or " ".join(lines)[-500:] or "it says nothing"


def _runner(
    playbook: Path,
    inventory: Path,
    directory: Path,
    end: "_End",
    listener: "_EventHearer",
    own: Mapping[str, str],
) -> Any:  # noqa: ANN401 -- ansible-runner has no types
    import ansible_runner  # type: ignore[import-untyped]  # noqa: PLC0415 -- 0.2 s, not for verbs that only read

    root = playbook.resolve().parent.parent
    environment = {
        **ansible_environment.of(root),
        # What a killed ansible-playbook leaves stays in its own directory.
        "ANSIBLE_LOCAL_TEMP": str(directory.resolve() / TMP),
        **own,
    }
    # ansible-runner has its child ignore the hang-up that the end of this process is, so the kernel has to end it.
    words = [
        *(_WITH_PARENT if shutil.which(_WITH_PARENT[0]) else ()),
        "ansible-playbook",
        "--extra-vars",
        f"@{(directory / 'vars.json').resolve()}",
    ]
    try:
        with _unwritten(directory / "artifacts" / _IDENT / "command"):
            return ansible_runner.run(
                private_data_dir=str(directory.resolve()),
                ident=_IDENT,
                project_dir=str(root),
                binary=words[0],
                inventory=str(inventory.resolve()),
                cmdline=shlex.join([*words[1:], str(playbook.resolve())]),
                envvars=environment,
                suppress_env_files=True,
                # Facts hold the environment of whoever logs in on a host: they stay in Ansible's memory.
                fact_cache_type="memory",
                quiet=True,
                event_handler=listener,
                cancel_callback=end,
            )
    except ansible_runner.exceptions.AnsibleRunnerException as err:
        raise LabError(f"ansible-runner: {err}", where=str(playbook), fix="run: make setup") from err


@contextlib.contextmanager
def _unwritten(path: Path) -> Iterator[None]:
    """Have what is written to a file reach no disk.

    ansible-runner writes the whole environment down there, tokens and all, and a run that is killed would keep it.
    """
    files.make_directory(path.parent)
    memory = os.memfd_create(path.name)
    try:
        path.unlink(missing_ok=True)
        path.symlink_to(f"/proc/self/fd/{memory}")
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(memory)


@dataclass(slots=True)
class _End:
    """Says when a playbook is to end before it does by itself, and sees to it: ansible-runner ends one process group.

    Ansible gives each of its workers a session of its own, so that a module that hangs would go on for ever.
    """

    variables: Path  # which no other invocation names on its command line
    deadline_s: float
    cancelled: Callable[[], bool]
    is_late: bool = False

    def __call__(self) -> bool:
        """Return whether it is to end."""
        self.is_late = self.is_late or time.monotonic() > self.deadline_s
        if not self.is_late and not self.cancelled():
            return False
        processes.end_family(os.getpid(), str(self.variables.resolve()))
        return True


class _EventHearer(contextlib.AbstractContextManager["_EventHearer"]):
    """Hears events in a thread of its own, in their order; all of them are heard when it is left.

    ansible-runner reads what ansible-playbook says last within 5 s, handlers included, and raises when that
    was too short: nothing that takes its time may happen in between, such as measuring a trial that came home.
    """

    def __init__(self, hear: Callable[[Mapping[str, Any]], None]) -> None:
        self._hear = hear
        self._events: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __call__(self, event: Mapping[str, Any]) -> bool:
        """Take one event. False tells ansible-runner not to keep it as a file of its own."""
        self._events.put(event)
        return False

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until all events are heard; raise what hearing one of them raised."""
        self._events.put(None)
        self._thread.join()
        if self._fault is not None and exc is None:
            raise self._fault

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                if self._fault is None:
                    self._hear(event)
            except BaseException as err:  # noqa: BLE001 -- raised again by whoever plays
                self._fault = err


def _heard(event: Mapping[str, Any], callbacks: Callbacks, collected: _Collected) -> None:
    """Pass one event on."""
    data = event.get("event_data", {})
    kind = event.get("event", "")
    if kind == "playbook_on_task_start":
        callbacks.on_task(data.get("task", ""))
    elif kind in {"runner_on_ok", "runner_item_on_ok"}:
        res = data.get("res", {})
        callbacks.on_result(
            TaskResult(data["host"], data["task"], data.get("task_action", ""), bool(res.get("changed")), res)
        )
    elif kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
        message = task_message.of(data.get("res", {}))
        collected.failures.append(TaskFailure(data["host"], data["task"], message, kind == "runner_on_unreachable"))
    elif kind == "playbook_on_stats":
        collected.changed.update(data.get("changed", {}))


@contextlib.contextmanager
def _password_file(password: str | None) -> Iterator[str | None]:
    """Give a path that Ansible can read the password from, in memory only."""
    if password is None:
        yield None
        return
    # A pipe with a name: Ansible wants a path that it can resolve, and what goes through a pipe is never on a disk.
    with tempfile.TemporaryDirectory(prefix="cgidlab-") as directory:
        path = Path(directory) / "become"
        os.mkfifo(path, 0o600)
        writer = threading.Thread(target=lambda: _hand_over(path, password), daemon=True)
        writer.start()
        try:
            yield str(path)
        finally:
            # Where Ansible never asked for it, the writer still waits for a reader.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            writer.join(1.0)
            os.close(handle)


def _hand_over(path: Path, password: str) -> None:
    with contextlib.suppress(BrokenPipeError), path.open("w", encoding="utf-8") as pipe:
        pipe.write(password + "\n")
