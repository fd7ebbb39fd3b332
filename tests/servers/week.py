"""A week of the exporter at a thousandfold pace: real sockets that come, go and are replaced, a clock that is told.

    PYTHONPATH=roles/trial/files:. python -m tests.servers.week DIRECTORY SAMPLES

Prints the most memory and descriptors that were used in the second third and in the last, as one JSON line: paths are
forgotten when 2,048 are known, which is in the second. One sample each six seconds: 100,000 are a week. Every part is
the exporter's own: the dumps of the kernel, counts, upkeep (every 120 s, as seldom as it ever is), series, a scrape.
"""

import json
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from cgidhost.observe.exporter import Exporter
from cgidhost.observe.logtail import LogTail
from prometheus_client import CollectorRegistry, generate_latest

PERIOD_NS = 6_000_000_000
UPKEEP_EVERY, SCRAPE_EVERY, RESTART_EVERY, REPLACE_EVERY, ROTATE_EVERY, CONTAINER_EVERY = 20, 100, 25, 40, 500, 5000


def listener(path: Path) -> socket.socket:
    """Return a new socket that listens at a path, in place of one that did."""
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(path))
    one.listen(5)
    return one


def use(path: Path, one: socket.socket) -> None:
    """Connect once, and once to a path that nobody has had before."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        one.accept()[0].close()


def rotate(log: Path, line: str) -> None:
    """Rotate a log that is watched, and see what it gained."""
    tail, gained = LogTail(str(log)), log.with_name("gained")
    log.rename(log.with_name("error_log.1"))
    log.write_text(line)
    tail.write_new(str(gained))
    assert gained.read_text() == line


def used() -> tuple[int, int]:
    """Return how much memory (kB) and how many descriptors this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024, len(list(Path("/proc/self/fd").iterdir()))


def main() -> None:
    """Live through the week."""
    directory, samples = Path(sys.argv[1]), int(sys.argv[2])
    exporter = Exporter(0.01)
    registry = CollectorRegistry()
    registry.register(exporter)
    everything = exporter.everything
    gauges = {gauge.name: gauge for gauge in everything.gauges}
    now_ns = everything.begin()
    log = directory / "error_log"
    log.write_text("")
    seen, text = [[0, 0], [0, 0], [0, 0]], b""
    with ExitStack() as held:
        fixed = directory / "replaced.sock"
        replaced = listener(fixed)
        restarted, path = listener(directory / "cgisock.1"), directory / "cgisock.1"
        for number in range(1, samples + 1):
            now_ns += PERIOD_NS
            if number % REPLACE_EVERY == 0:
                replaced.close()
                replaced = listener(fixed)
                use(fixed, replaced)
            if number % RESTART_EVERY == 0:  # as httpd's, whose socket has its process id in its name
                restarted.close()
                path.unlink()
                path = directory / f"cgisock.{number}"
                restarted = listener(path)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect_ex(f"{directory}/nobody-{number}")
            if number % ROTATE_EVERY == 0:
                rotate(log, f"{number}\n")
            if number % CONTAINER_EVERY == 0:
                container = subprocess.Popen(["unshare", "--net", "sleep", "600"])
                held.callback(container.wait)
                held.callback(container.kill)
                time.sleep(0.05)  # until it is in its network
                gauges["upkeep"].sample(now_ns)
                gauges["listeners"].sample(now_ns)
                container.kill()
                container.wait()
            gauges["listeners"].sample(now_ns)
            if number % 10 == 0 and "connects" in gauges:
                gauges["connects"].sample(now_ns)
            if number % UPKEEP_EVERY == 0:
                gauges["upkeep"].sample(now_ns)
            if number % SCRAPE_EVERY == 0:
                text = generate_latest(registry)
                third = (number - 1) * 3 // samples
                seen[third] = list(map(max, seen[third], used()))
        rows = len(list(everything.seen()))
    sys.stdout.write(json.dumps({"used": seen[1:], "rows": rows, "scrape": text.decode()}))


if __name__ == "__main__":
    main()
