"""Records what httpd really writes into its error_log when something goes wrong: excerpts for tests/data/error_log.

    python scripts/record_error_logs.py PREFIX SCRIPT KIND [--form own|default|2.2] [--every N]

PREFIX is an httpd that the project built (/var/cache/cgidlab/httpd/KEY/prefix), SCRIPT a CGI script
(.../scripts/KEY/hello). Prints the excerpt: every Nth line of mod_cgid, AH01239, and all lines of others, paths
replaced by /srv/trial. `--form 2.2` has an httpd before 2.4.60 write as httpd 2.2 did, which had the same words without
AH numbers: its mod_cgid is compiled without them, and its lines have 2.2's fields. Needs root: it runs in network,
PID and mount namespaces of its own.
"""

import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PORT = 8080
CLIENTS, CROWD = 100, 400
OWN = "[%{cu}t] [%-m:%l] [pid %P:tid %T] [request %-L] %-E: [client %-a] %M"
# As log.c of httpd 2.2 writes them; the client says its own address, for 2.4 knows no way to leave out the port.
FORMS = {
    "own": OWN,
    "default": "",
    "2.2": r"[%t] [%l] %7F: [client\ %{X-Client}i] %E: %M",
}
OURS = re.compile(r"\[cgid:\w+\]| mod_cgid\.c\(|cgid? daemon|script output")
CONF = """\
ServerRoot "{base}"
DefaultRuntimeDir "{base}"
PidFile "{base}/httpd.pid"
ServerName localhost
Listen 127.0.0.1:{port}
User nobody
Group "#65534"
LoadModule mpm_event_module {prefix}/modules/mod_mpm_event.so
LoadModule unixd_module {prefix}/modules/mod_unixd.so
LoadModule authz_core_module {prefix}/modules/mod_authz_core.so
LoadModule alias_module {prefix}/modules/mod_alias.so
LoadModule cgid_module {module}
ScriptSock "{socket}"
StartServers 4
ServerLimit 4
ThreadsPerChild 100
ThreadLimit 100
MaxRequestWorkers 400
MinSpareThreads 1
MaxSpareThreads 400
ErrorLog "{base}/error_log"
LogLevel warn cgid:debug
{form}
ScriptAlias /cgi-bin/ "{scripts}/"
<Directory "{scripts}">
    Options ExecCGI
    Require all granted
</Directory>
"""


def ask(stop: threading.Event, times: int) -> None:
    """Ask for the script until told to stop, or so many times; what comes back does not matter."""
    while not stop.is_set() and times:
        times -= 1
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=40)
            connection.request("GET", "/cgi-bin/hello", headers={"X-Client": "127.0.0.1"})
            connection.getresponse().read()
            connection.close()


def load(clients: int, seconds: float, meanwhile: Callable[[], None], times: int = -1) -> None:
    """Keep so many clients asking; after `seconds` do something, and let them ask for as long again."""
    stop = threading.Event()
    threads = [threading.Thread(target=ask, args=(stop, times), daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)  # the recorded time itself, not a condition that could be waited for
    meanwhile()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join(60)


def children(pid: int) -> list[int]:
    """Return a process's children."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def daemon(pid: int) -> int:
    """Return the child of httpd that has no threads: the cgid daemon."""
    return next(p for p in children(pid) if len(list(Path(f"/proc/{p}/task").iterdir())) == 1)


def run(prefix: Path, scripts: Path, kind: str, form: str) -> str:
    """Run one httpd through one kind of trouble and return its error_log."""
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        base = Path(directory)
        base.chmod(0o755)
        socket = base / ("none/cgid.sock" if kind == "wrong_socket" else "cgid.sock")
        text = CONF.format(
            base=base,
            port=PORT,
            prefix=prefix,
            module=without_numbers(prefix, base) if form == "2.2" else prefix / "modules/mod_cgid.so",
            socket=socket,
            scripts=scripts,
            form=f'ErrorLogFormat "{FORMS[form]}"' if FORMS[form] else "",
        )
        (base / "httpd.conf").write_text(text)
        httpd = subprocess.Popen([prefix / "bin/httpd", "-f", base / "httpd.conf", "-DFOREGROUND"])
        expected = 4 if kind == "wrong_socket" else 5  # four processes of workers, and the daemon where it can bind
        while len(children(httpd.pid)) < expected:
            if httpd.poll() is not None:
                sys.exit("httpd ended: " + (base / "error_log").read_text())
            time.sleep(0.05)
        trouble: dict[str, Callable[[], None]] = {
            "overflow": lambda: load(CROWD, 1.5, lambda: None),
            "shutdown_under_load": lambda: load(CLIENTS, 1, httpd.terminate),
            "dead_daemon": lambda: load(CLIENTS, 1, lambda: os.kill(daemon(httpd.pid), signal.SIGKILL)),
            "wrong_socket": lambda: load(3, 35, lambda: None, times=1),
        }
        trouble[kind]()
        if httpd.poll() is None:
            httpd.kill()
        log = (base / "error_log").read_text()
        for path in (str(base), str(prefix), str(scripts)):
            log = log.replace(path, "/srv/trial")
        return log


def without_numbers(prefix: Path, place: Path) -> Path:
    """Compile this httpd's mod_cgid with its messages as they were before they had numbers; return the module."""
    generators = prefix.parent / "modules" / "generators"
    source = place / "mod_cgid.c"
    source.write_text(re.sub(r"APLOGNO\(\d*\)\s*", "", (generators / "mod_cgid.c").read_text()))
    apxs: list[str | Path] = [prefix / "bin/apxs", "-c", f"-I{generators}", source.name]
    subprocess.run(apxs, cwd=place, check=True, stdout=subprocess.DEVNULL)
    return place / ".libs" / "mod_cgid.so"


def excerpt(log: str, every: int) -> str:
    """Return every Nth line of mod_cgid, that of its daemon's end, and all lines of others."""
    kept, ours = [], 0
    for line in log.splitlines(keepends=True):
        if OURS.search(line) and "daemon process died" not in line:
            ours += 1
            if ours % every:
                continue
        kept.append(line)
    return "".join(kept)


def main() -> None:
    """Record one log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", type=Path)
    parser.add_argument("script", type=Path)
    parser.add_argument("kind", choices=["overflow", "shutdown_under_load", "dead_daemon", "wrong_socket"])
    parser.add_argument("--form", choices=list(FORMS), default="default")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    if os.environ.get("RECORDING") != "1":
        words = ["unshare", "--net", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child", "sh", "-c"]
        inner = 'ip link set lo up && mount -t tmpfs tmpfs /run && exec "$0" "$@"'
        os.execvpe(  # noqa: S606 -- this program again, in namespaces of its own
            words[0], [*words, inner, sys.executable, *sys.argv], {**os.environ, "RECORDING": "1", "TZ": "UTC"}
        )
    log = run(args.prefix, args.script.parent, args.kind, args.form)
    sys.stdout.write(excerpt(log, args.every))


if __name__ == "__main__":
    main()
