"""Runs a stranger's code as a user without rights and without a network, where it sees and writes what it must alone.

This file is a program as well: `Confinement` lays it into the build's directory for a Python of its own, since
namespaces are for a process with one thread. Three processes, as in a trial: the first makes the namespaces, the second
is PID 1 in them, furnishes a root directory and stays what it is, the third gives up its rights and becomes what was
asked for. The kernel ends all of them with the first one, and nothing that a build has started outlives its step.
"""

from __future__ import absolute_import, division, print_function

import ctypes
import json
import os
import pwd
import resource
import signal
import sys
import warnings  # noqa: F401 -- os.execvpe imports it, when this Python may be out of sight

TROUBLE = 111  # exit status: nothing was run, the reason is in the output
_SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "usr")
_DATABASES = ("/var/lib/dpkg", "/var/lib/rpm")  # of packages: what unpacks one may look into them
_DEVICES = ("null", "zero", "full", "random", "urandom")
# In a build's directory: where its root directory is mounted, in its own namespace, and this file.
_ROOT, _PROGRAM = ".root", ".confined.py"
_BUILD_S = 3000  # provisioning is given an hour
_TMP, _VAR_TMP = "/tmp", "/var/tmp"  # noqa: S108 -- in a root directory of the build's own
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_BYTES = 16 << 30  # that a file of a build may have
_NOBODY = 65534

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 0x4000, 1 << 18
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE, _SYS_MOUNT_SETATTR = -100, 0x8000, 442  # Linux 5.12, the same number on every machine
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_libc = ctypes.CDLL(None, use_errno=True)


class Confinement:
    """Where the steps of one build run and as whom; `why_not` is empty, or why there is no namespace around them."""

    def __init__(self, directory, why_not=""):
        """Prepare for a build whose directory, owned by the caller, is `directory`."""
        self.directory = directory
        self.why_not = why_not
        self.uid, self.gid = account()
        self._readable, self._writable = [], []
        os.mkdir(os.path.join(directory, _ROOT), 0o700)
        with open(os.path.join(directory, _PROGRAM), "x") as file:
            file.write(__loader__.get_source(__name__))
        if not why_not:
            # Others who are nobody, such as the server of a trial, must not get at what this nobody writes.
            os.chmod(directory, 0o700)

    def see(self, *paths):
        """Let the build read what lies at these paths, and all below."""
        self._readable += [path for path in paths if path not in self._readable]

    def give(self, name):
        """Make a directory below the build's own that the build may write to, and return its path."""
        path = os.path.join(self.directory, name)
        os.mkdir(path, 0o755)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
        self._writable.append(path)
        return path

    def environment(self):
        """Return what the build finds in its environment: nothing of the user's."""
        home = self._writable[0] if self.why_not and self._writable else _TMP
        return {"PATH": _PATH, "HOME": home, "TMPDIR": home, "LC_ALL": "C", "TZ": "UTC"}

    def wrapped(self, argv, cwd, timeout_s=_BUILD_S):
        """Return the words that run `argv` in here."""
        order = {
            "argv": list(argv),
            "cwd": cwd,
            "root": "" if self.why_not else os.path.join(self.directory, _ROOT),
            "readable": self._readable,
            "writable": self._writable,
            "uid": self.uid,
            "gid": self.gid,
            "environment": self.environment(),
            "timeout_s": int(timeout_s),
        }
        return [sys.executable, "-I", "-S", os.path.join(self.directory, _PROGRAM), json.dumps(order)]

    def done(self):
        """Let others pass into the build's directory again, which holds nothing of this any more."""
        os.rmdir(os.path.join(self.directory, _ROOT))
        os.unlink(os.path.join(self.directory, _PROGRAM))
        os.chmod(self.directory, 0o755)  # noqa: S103 -- the unprivileged server user reads modules from here


def account():
    """Return uid and gid a build has: of nobody where the caller is root, its own else."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return entry.pw_uid, entry.pw_gid


def why_not(directory):
    """Return why nothing can be confined on this host, empty where it can: it is tried, in an empty directory."""
    import subprocess  # noqa: PLC0415 -- a fifth of what a step costs, and no step needs it

    confinement = Confinement(directory)
    process = subprocess.run(
        confinement.wrapped(["true"], "/", 60),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=confinement.environment(),
        check=False,
    )
    confinement.done()
    said = process.stdout.decode("utf-8", "replace").strip()
    return "" if process.returncode == 0 else said or "exit status %d" % process.returncode


# --- the program -----------------------------------------------------------------------------------------------------


def _check(result, doing):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), doing)


def _mount(source, target, kind, flags, data=""):
    arguments = (source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(_libc.mount(*arguments), "mount %s" % target)


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


def _seal(path, attributes, flags):
    wanted = _Attributes(attributes, 0, 0, 0)
    arguments = (os.fsencode(path), ctypes.c_uint(flags), ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted)))
    _check(_libc.syscall(ctypes.c_long(_SYS_MOUNT_SETATTR), _AT_FDCWD, *arguments), "mount_setattr %s" % path)


def _bind(root, path, attributes):
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    _mount(path, target, "none", _MS_BIND | _MS_REC)
    if attributes:
        _seal(target, attributes, _AT_RECURSIVE)


def _furnish(order):
    """Make a root directory with the system's programs, what the build may see, and what it may write; go there."""
    root = order["root"]
    os.umask(0o022)
    _mount("none", "/", "none", _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=16m")
    os.mkdir(root + _TMP)
    _mount("tmpfs", root + _TMP, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=1g")
    for path in ("/" + name for name in _SYSTEM):
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            _bind(root, path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    # Whatever of the host it lies in, nobody but the build may pass through its directory, and it sees no more of that.
    own = root + os.path.dirname(root)
    os.makedirs(own, exist_ok=True)
    _mount("tmpfs", own, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=1m")
    for path in (*_DATABASES, *order["readable"]):
        if os.path.exists(path):
            _bind(root, path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for path in order["writable"]:
        _bind(root, path, _ATTR_NOSUID | _ATTR_NODEV)
    os.makedirs(root + "/proc", exist_ok=True)
    _mount("proc", root + "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    for name in _DEVICES:
        _bind(root, "/dev/" + name, 0)
    os.symlink("/proc/self/fd", root + "/dev/fd")
    os.makedirs(root + "/var", exist_ok=True)
    if not os.path.lexists(root + _VAR_TMP):
        os.symlink(_TMP, root + _VAR_TMP)
    for path in (own, root):
        _seal(path, _ATTR_RDONLY, 0)
    # Not one of its own mount namespace: whoever is in a chroot gets no user namespace, and no rights by one.
    os.chroot(root)
    os.chdir("/")


def _become(order):
    """Give up all rights for good, and become the program that was asked for."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    if os.geteuid() == 0 and order["uid"] != 0:
        os.setgroups([])
        os.setresgid(order["gid"], order["gid"], order["gid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python has ignored
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.chdir(order["cwd"])
    # The lock of the build is its parent's: whoever held a copy could give it back.
    os.closerange(3, 1 << 16)
    try:
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 -- no shell on purpose
    except FileNotFoundError:
        _leave("%s is not installed, or lies where a build does not see it" % order["argv"][0], 127)


def _leave(words, status=TROUBLE):
    os.write(2, (words + "\n").encode())
    os._exit(status)


def _unshare():
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWPID | _CLONE_NEWNET
    _check(_libc.unshare(ctypes.c_int(flags | (0 if uid == 0 else _CLONE_NEWUSER))), "this host allows no namespaces")
    if uid != 0:
        ids = (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid)))
        for name, text in ids:
            with open("/proc/self/" + name, "w") as file:
                file.write(text)


def _follow(pid):
    """Return the exit status of a child as a shell tells it."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _first(order):
    """Be PID 1 of the build: everything in it ends when this does."""
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    _furnish(order)
    pid = os.fork()
    if pid == 0:
        _become(order)
    os._exit(_follow(pid))


def _program(order):
    signal.alarm(order["timeout_s"])  # whose default is to end this process, and all others with it
    try:
        if not order["root"]:
            _become(order)
        _unshare()
        pid = os.fork()
        if pid == 0:
            _first(order)
    except OSError as error:
        _leave("%s: %s" % (error.filename, error.strerror))
    except BaseException as error:  # noqa: BLE001 -- a forked process must not go on as its parent
        _leave("%s: %s" % (type(error).__name__, error))
    os._exit(_follow(pid))


if __name__ == "__main__":
    _program(json.loads(sys.argv[1]))
