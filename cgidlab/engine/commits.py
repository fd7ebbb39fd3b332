"""The commits of a repository of httpd, on the control machine: names alone, no file of it. Alone runs git here.

What a repository says is text of a stranger: refs are checked before git sees them, and what git prints before it is
believed. Sources themselves are fetched by the servers (roles/build).
"""

import hashlib
import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from cgidlab import files
from cgidlab.analysis.bisecting import Commit
from cgidlab.errors import SpecError, StoreError
from cgidlab.terminal import printable

MOST = 20_000
"""Commits between two ends, at most: fifteen turns."""

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@{}^~+-]{0,200}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:")  # as roles/build/module_utils/lab_source_git.py has it
_SEPARATOR = "\x1f"
_MOST_BYTES = 64 << 20  # that git says: a subject may have gigabytes, packed into a few bytes
_LAST_WORDS_BYTES = 4096
_LONGEST_S = 900.0
# No question for a password, no object fetched in passing, nothing that a repository's own configuration would run:
# `ext` would, and a git older than GIT_NO_LAZY_FETCH would fetch.
QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
_CONFIG = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")


def located(repository: str, root: Path) -> str:
    """Return a repository as a server's build names it: a URL as it is, a path from the project's directory on."""
    return repository if _URL.match(repository) else os.path.normpath(root / repository)


def line(repository: str, good: str, bad: str, cache: Path) -> tuple[Commit, ...]:
    """Return `good`, the commits between, and `bad`: the first-parent line, the oldest first.

    Of a URL the commits alone are brought to `cache`. Raises `SpecError` for refs that are none, and where good is
    not on bad's line.
    """
    for option, ref in (("--good", good), ("--bad", bad)):
        if not _REF.fullmatch(ref):
            raise SpecError(f"`{printable(ref)}` is no ref", where=option, fix="name a branch, a tag or a commit")
    place = _mirror(repository, cache) if _URL.match(repository) else Path(repository)
    first, last = _commit(place, repository, "--good", good), _commit(place, repository, "--bad", bad)
    ends = ["--first-parent", "--reverse", f"--max-count={MOST + 1}"]
    found = _read(place, [*ends, last, f"^{first}"])
    if not found:
        raise SpecError(
            f"no commit is between good ({first[:10]}) and bad ({last[:10]})",
            where=repository,
            fix="good is the older one: an improvement is looked for in the same way",
        )
    if len(found) > MOST:
        raise SpecError(f"more than {MOST} commits are between good and bad", where=repository, fix="name nearer ones")
    parents, commits = zip(*found, strict=True)
    if parents[0] != first:
        raise SpecError(
            f"good ({first[:10]}) is not on the line of first parents of bad ({last[:10]})",
            where=repository,
            fix=f"the line leaves good's history at {parents[0][:10]}: use --good {parents[0][:10]}"
            if parents[0]
            else "name a commit of bad's own branch",
        )
    ((_, begin),) = _read(place, ["--no-walk", first])
    return (begin, *commits)


def _read(place: Path, arguments: Sequence[str]) -> list[tuple[str, Commit]]:
    """Return commits, each with its first parent."""
    form = "%H%x1f%P%x1f%aI%x1f%s"
    out = _git(place, "rev-list", f"--format={form}", *arguments)
    found = []
    for text in out.split("\n"):
        parts = text.split(_SEPARATOR, 3)
        if len(parts) == 4 and HASH.fullmatch(parts[0]):  # noqa: PLR2004 -- as many as `form` has
            name, parents, date, subject = parts
            parent = parents.split(" ")[0]
            found.append((parent if HASH.fullmatch(parent) else "", Commit(name, printable(date), printable(subject))))
    return found


def _commit(place: Path, repository: str, option: str, ref: str) -> str:
    try:
        found = _git(place, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except StoreError as err:
        if not place.exists():
            raise SpecError("there is no such repository here", where=repository, fix="name its path or URL") from err
        raise SpecError(
            f"the repository has no commit `{ref}`{f' ({err.what})' if err.what else ''}",
            where=f"{option} {ref} of {repository}",
            fix=f"see its branches and tags: git ls-remote {repository}",
        ) from err
    if not HASH.fullmatch(found):
        raise StoreError(f"git names no commit: {printable(found)[:80]!r}", where=repository)
    return found


def _mirror(url: str, cache: Path) -> Path:
    """Return a bare repository with the commits of all branches and tags of a URL, as they are now, and no file."""
    place = cache / f"commits-{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"
    files.make_directory(cache)
    try:
        if not (place / "HEAD").is_file():
            new = place.with_suffix(f".{os.getpid()}")
            files.remove_tree(new)
            _git(cache, "clone", "-q", "--bare", "--filter=tree:0", "--end-of-options", url, str(new))
            files.remove_tree(place)
            files.move(new, place)
        refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _git(place, "fetch", "-q", "--force", "--prune", "--filter=tree:0", "origin", *refs)
    except StoreError as err:
        raise SpecError(
            f"its commits cannot be fetched: {err.what}", where=url, fix=f"see whether it answers: git ls-remote {url}"
        ) from err
    return place


def _git(place: Path, *arguments: str) -> str:
    """Return what git prints. Raise `StoreError` with its last words where it fails."""
    program = shutil.which("git")
    if program is None:
        raise SpecError("git is not installed on this machine", where="git", fix="install it: commits are read by it")
    argv = [program, "-C", str(place), *_CONFIG, *arguments]
    # A hook of another repository may have started us, and a directory in a repository is none itself.
    ours = {n: v for n, v in os.environ.items() if n not in _OF_ANOTHER}
    environment = {**ours, **QUIET, "GIT_CEILING_DIRECTORIES": str(place.resolve().parent)}
    code, out, err = _heard(argv, environment, str(place))
    if code:
        said = err.decode(errors="replace").strip().splitlines()
        raise StoreError(printable(said[-1].removeprefix("fatal: ")) if said else "", where=str(place))
    return out.decode(errors="replace")


def _heard(argv: Sequence[str], environment: Mapping[str, str], where: str) -> tuple[int, bytes, bytes]:
    """Return a program's exit code, what it prints, and its last words; end it where it takes or says too much."""
    due_s = time.monotonic() + _LONGEST_S
    out, err = bytearray(), bytearray()
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process,
        selectors.DefaultSelector() as ready,
    ):
        for pipe, kept in ((process.stdout, out), (process.stderr, err)):
            ready.register(cast("BinaryIO", pipe), selectors.EVENT_READ, kept)
        while ready.get_map() and len(out) <= _MOST_BYTES and time.monotonic() < due_s:
            for key, _ in ready.select(max(0.0, due_s - time.monotonic())):
                part = os.read(key.fd, 1 << 20)
                key.data.extend(part)
                if not part:
                    ready.unregister(key.fileobj)
            del err[:-_LAST_WORDS_BYTES]
        if ready.get_map():
            process.kill()
    if len(out) > _MOST_BYTES:
        what = f"git says more than {_MOST_BYTES >> 20} MiB of these commits"
        raise StoreError(what, where=where, fix="name nearer ones")
    if time.monotonic() >= due_s:
        raise StoreError(f"git took longer than {_LONGEST_S:.0f} s", where=where)
    return process.returncode, bytes(out), bytes(err)
