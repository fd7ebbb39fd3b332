"""How a program is built into the cache: the only code that locks, logs, marks and discards builds."""

from __future__ import absolute_import, division, print_function

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading

MARKER = "build.json"
_ERROR_LINE = re.compile(
    r"(: (fatal )?error: |^(fatal )?error: |^configure: error: |: undefined reference to |\*\*\* .*(Stop|Error)"
    r"|No space left on device|^cannot compute |: command not found|cc1: )"
)
_DISK_FULL = "No space left on device"
_READ_BYTES = 4 << 20  # of what a build says
_ANSWER_S = 60
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class LabError(Exception):
    """A failure fit to show: what is wrong, where the details are, what to do next."""

    def __init__(self, what, where="", fix=""):
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self):
        """Return the message as the user sees it, one to three lines."""
        parts = [self.what]
        if self.where:
            parts.append("at: %s" % self.where)
        if self.fix:
            parts.append("fix: %s" % self.fix)
        return "\n".join(parts)


def from_os_error(error, doing):
    """Return the LabError that tells the user what an OSError means for them."""
    path = error.filename or ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LabError(
            "the disk is full while %s" % doing,
            where=str(path),
            fix="free some space (about 150 MB are needed) or set host_cache_dir to a directory with room",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return LabError(
            "no permission while %s: %s" % (doing, error.strerror),
            where=str(path),
            fix="set host_cache_dir to a directory this user may write, or remove the one another user made",
        )
    return LabError(
        "%s while %s" % (error.strerror or error, doing), where=str(path), fix="check that path and what it is on"
    )


def key_of(parts):
    """Return the SHA-256 (hex) of a JSON value; equal values give equal keys whatever their order of names."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()


def sha256_file(path):
    """Return the SHA-256 (hex) of a file's content."""
    with open(path, "rb") as file:
        return sha256_of(file)


def sha256_of(file):
    """Return the SHA-256 (hex) of what is left to read of a file."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: file.read(1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def write_json(path, value):
    """Write a JSON file so that it is there as a whole or not at all, even after a power cut."""
    temporary = "%s.%d.tmp" % (path, os.getpid())
    with open(temporary, "w") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def read_json(path):
    """Return the content of a JSON file, or None when it is missing or not whole."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def finished(directory):
    """Return what a finished build wrote about itself, or None when it is missing or was left half done."""
    return read_json(os.path.join(directory, MARKER))


def make_directory(path):
    """Create a directory that everybody may enter and only this user may write, whatever the umask says."""
    os.makedirs(path, exist_ok=True)
    # The unprivileged server user reads modules and runs scripts from here.
    os.chmod(path, 0o755)  # noqa: S103 -- as said


def remove_tree(path):
    """Remove what a build left, however deep it nested that, which Python cannot; what cannot be removed stays."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    argv = ["rm", "-rf", "--", path]
    subprocess.call(argv, **quiet)


@contextlib.contextmanager
def building(directory):
    """Hold the lock of a build and hand over an empty directory, or None when somebody else has finished it.

    Yields (lock file descriptor, marker content or None). Programs that inherit the descriptor keep the lock, so a
    build whose parent was killed is waited for until its last process is gone. A half-built directory is thrown away
    before and after; the caller makes it whole with `write_json(.../build.json)` as the last step.
    """
    make_directory(os.path.dirname(directory))
    descriptor = os.open(directory + ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        done = finished(directory)
        if done is None:
            remove_tree(directory)
            make_directory(directory)
        try:
            yield descriptor, done
        finally:
            if finished(directory) is None:
                keep_logs(directory)
                remove_tree(directory)
    finally:
        os.close(descriptor)


def log_path(directory, name):
    """Return where a log of a build that failed is kept: beside its directory, not in it."""
    return "%s.%s.log" % (directory, name)


def keep_logs(directory):
    """Move the logs of a failed build out of the directory that is about to go."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.endswith(".log"):
                os.rename(os.path.join(directory, name), log_path(directory, name[: -len(".log")]))


def first_error(text):
    """Return the first line of a build's output that says what went wrong; its last line when none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if _ERROR_LINE.search(line):
            return line
    return lines[-1] if lines else "no output"


def _die_with_parent():
    """Ask the kernel to end this program when the module is killed, so that no orphan goes on building."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run_step(name, argv, cwd, directory, lock, within=None):
    """Run one step of a build with its output in DIRECTORY/NAME.log, within a Confinement where one is given.

    Raises LabError with the first error line and the log's path, which outlives the directory.
    """
    log = os.path.join(directory, name + ".log")
    environment = within.environment() if within else dict(os.environ, LC_ALL="C", TZ="UTC")
    try:
        with open(log, "wb") as output:
            code = subprocess.call(
                within.wrapped(argv, cwd) if within else argv,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=() if lock is None else (lock,),
                preexec_fn=_die_with_parent,
            )
    except FileNotFoundError as error:
        raise LabError(
            "%s: %s is not installed or not in PATH" % (name, argv[0]),
            fix="let the play install it (become), or install it by hand",
        ) from error
    if code == 0:
        return
    with open(log, "rb") as output:
        text = output.read(_READ_BYTES).decode("utf-8", "replace")
    kept = log_path(directory, name)
    if _DISK_FULL in text:
        raise from_os_error(OSError(errno.ENOSPC, _DISK_FULL, directory), "running %s" % name)
    raise LabError(
        "%s failed with exit status %d: %s" % (name, code, first_error(text)),
        where=kept,
        fix="read the log; a missing header is a missing package, anything else is the source or a patch",
    )


def output_of(argv, within=None):
    """Return what a program prints, stdout and stderr in one; LabError when it is missing or fails.

    Within a Confinement it is a stranger's: it has a minute, and more than a few megabytes of it are an error.
    """
    try:
        process = subprocess.Popen(
            within.wrapped(argv, "/", _ANSWER_S) if within else argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=within.environment() if within else dict(os.environ, LC_ALL="C"),
            preexec_fn=_die_with_parent,  # noqa: PLW1509 -- one system call, as in run_step
        )
    except (FileNotFoundError, PermissionError) as error:
        raise LabError(
            "%s is not installed or not in PATH" % argv[0],
            fix="let the play install it (become), or install it by hand",
        ) from error
    with process:
        output = process.stdout.read(_READ_BYTES) if within else process.stdout.read()
        if within and len(output) == _READ_BYTES:
            process.kill()
            raise LabError("%s prints more than %d bytes" % (argv[0], _READ_BYTES - 1))
    text = output.decode("utf-8", "replace")
    if process.returncode != 0:
        raise LabError("%s exited %d: %s" % (" ".join(argv), process.returncode, first_error(text)))
    return text.strip()


def compiler_version(compiler):
    """Return the first line of a compiler's --version; LabError naming the package when there is none."""
    try:
        return output_of([compiler, "--version"]).splitlines()[0]
    except LabError as failure:
        raise LabError(
            "no working C compiler %s: %s" % (compiler, failure.what),
            fix="install gcc (the play does it with become), or set build_compiler to the one to use",
        ) from failure


def fail_with(module, error, doing):
    """End an Ansible module with one clear message for a LabError or an OSError."""
    failure = error if isinstance(error, LabError) else from_os_error(error, doing)
    module.fail_json(msg=str(failure), what=failure.what, where=failure.where, fix=failure.fix)


def set_sane_umask():
    """Make what is built readable for the unprivileged server user and writable for the owner alone.

    And end with whoever called: a play that is over leaves no module of ours on its hosts, however it hangs.
    """
    os.umask(0o022)
    sys.dont_write_bytecode = True
    threading.Thread(target=_end_with_reader, daemon=True).start()


def _end_with_reader():
    """End this process, and with it what it started, as soon as nobody is left to read what it prints."""
    poll = select.poll()
    poll.register(1, 0)  # the end of its reader is told unasked
    poll.poll()
    os._exit(1)
