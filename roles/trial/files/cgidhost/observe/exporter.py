"""Metrics of all listening unix sockets for Prometheus: the only module of the host that uses a package.

`prometheus_client` lies beside this one in the same file; nothing is installed on the host.
"""

from __future__ import annotations

import glob
import os
import re
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from itertools import accumulate
from typing import Any, Iterator, Optional

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    make_wsgi_app,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..bpfqueue import WAITS_NS
from ..ending import BlockError
from . import scraping
from .everything import Everything
from .reading import Reading
from .series import AllSeries, Labels, ListenerSeries

_PREFIX = "unix_listen_queue"
_TEXTFILE_EVERY_S = 15.0
_LEFTOVER = re.compile(r"\.\d+\.\d+$")


class Exporter(Collector):
    """Watches, and answers each scrape with what was seen last."""

    def __init__(self, cost_share: float) -> None:
        """Find what listens; raise OSError where the kernel tells nothing."""
        self._cost_share = cost_share
        self.everything = Everything()
        self._series = AllSeries(os.readlink("/proc/self/ns/net"))
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    @property
    def notes(self) -> list[str]:
        """Return what cannot be seen."""
        return self.everything.notes

    def run(self, ended: threading.Event, textfile: Optional[str]) -> None:
        """Watch until `ended`, and replace `textfile` now and then."""
        reading = Reading(self.everything.gauges, self._cost_share, self.everything.begin())
        write_s = time.monotonic()
        while not ended.is_set():
            with self._lock:
                reading.read_what_is_due()
                now_ns = time.monotonic_ns()
                if reading.may_look(now_ns):
                    reading.adjust(now_ns)
            if textfile is not None and time.monotonic() >= write_s:
                replace_file(textfile, generate_latest(self.registry))
                write_s += (max(0.0, time.monotonic() - write_s) // _TEXTFILE_EVERY_S + 1) * _TEXTFILE_EVERY_S
            ended.wait(reading.idle_s())

    def collect(self) -> Iterator[Metric]:
        """Yield all families; names and units are described in docs/observe.md."""
        with self._lock:
            known = dict(self._series.update(self.everything.seen()))
            families = [*families_of(known), *self._about()]
        yield from families

    def describe(self) -> list[Metric]:
        """Return nothing: a scrape alone tells."""
        return []

    def _about(self) -> Iterator[Metric]:
        yield _gauge(
            "listeners_left_out", "Listeners beyond the number of series, summed as (others)", self._series.left_out
        )
        counted = int(self.everything.counts_connects)
        yield _gauge("connects_counted", "1 where connects, turned away and refused ones are counted", counted)
        looks = CounterMetricFamily(f"{_PREFIX}_looks", "How often all queues were looked at")
        looks.add_metric([], self.everything.looks)
        yield looks


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)


def families_of(known: dict[Labels, ListenerSeries]) -> Iterator[Metric]:
    """Yield the metrics of all series."""
    labels = Labels._fields
    gauges = {
        "depth": "Connections that wait in the queue; limit + 1 fit. Of several sockets the fullest one's",
        "limit": "The queue's limit in force",
        "sleeping_connects": "Threads asleep in connect() for longer than a millisecond",
        "listeners": "Sockets that listen under these labels; 0 where nobody does any more",
    }
    counters = {
        "full_seconds": "Time in which the queue held limit + 1",
        "depth_seconds": "Depth by time: its rate is the mean depth, and that by the connects' rate an estimated wait",
        "connections": "Calls of connect() to this path",
        "connections_turned_away": "Calls of connect() that failed with EAGAIN: the queue was full",
        "refused": "Calls of connect() that failed with ECONNREFUSED: nobody listened",
    }
    made: dict[str, Any] = {n: GaugeMetricFamily(f"{_PREFIX}_{n}", t, labels=labels) for n, t in gauges.items()}
    made.update({n: CounterMetricFamily(f"{_PREFIX}_{n}", t, labels=labels) for n, t in counters.items()})
    told = "Time from the end of connect() to accept(), as the kernel saw it of each connection"
    waits = HistogramMetricFamily(f"{_PREFIX}_wait_seconds", told, labels=labels)
    for key, series in known.items():
        if series.waited:
            ends = [repr(most_ns / 1e9) for most_ns in WAITS_NS] + ["+Inf"]
            waits.add_metric(key, list(zip(ends, accumulate(series.waited))), series.waited_s)
        made["listeners"].add_metric(key, series.listeners)
        made["depth"].add_metric(key, series.depth)
        made["limit"].add_metric(key, series.limit)
        made["full_seconds"].add_metric(key, series.full_s)
        made["depth_seconds"].add_metric(key, series.depth_s)
        if series.sleeping is not None:
            made["sleeping_connects"].add_metric(key, series.sleeping)
        if series.connects is not None:
            made["connections"].add_metric(key, series.connects)
            made["connections_turned_away"].add_metric(key, series.turned_away)
            made["refused"].add_metric(key, series.refused)
    yield from made.values()
    yield waits


def serve(listen: Optional[str], textfile: Optional[str], cost_share: float) -> None:
    """Watch until SIGTERM or SIGINT, with metrics at `listen` (HOST:PORT), in `textfile`, or both.

    Raises BlockError where neither can be had.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    os.umask(0o022)  # node_exporter is another user
    if textfile is not None:
        _remove_leftovers(textfile)
    exporter = Exporter(cost_share)
    for note in exporter.notes:
        sys.stderr.write(f"note: {note}\n")
    server = None
    if listen is not None:
        host, _, port = listen.rpartition(":")
        try:
            server = scraping.start(host.strip("[]"), int(port), make_wsgi_app(exporter.registry))
        except OSError as error:
            raise BlockError(f"{listen}: {error.strerror or error}") from error
        sys.stderr.write(f"metrics at http://{host}:{server.server_port}/metrics\n")
    sys.stderr.flush()
    try:
        exporter.run(ended, textfile)
    except OSError as error:
        raise BlockError(f"{error.filename or textfile}: {error.strerror or error}") from error
    finally:
        if server is not None:
            server.shutdown()
        if textfile is not None:  # what is not kept up to date must not be read
            with suppress(OSError):
                os.unlink(textfile)


def replace_file(textfile: str, data: bytes) -> None:
    """Put a whole file in the place of the former one; through no link, since others may write in its directory."""
    part = f"{textfile}.{os.getpid()}.{secrets.randbits(64)}"
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.rename(part, textfile)
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise


def _remove_leftovers(textfile: str) -> None:
    """Remove what an exporter that was killed while it wrote left behind."""
    for path in glob.glob(f"{glob.escape(textfile)}.*"):
        if _LEFTOVER.fullmatch(path[len(textfile) :]):
            with suppress(OSError):  # whatever else lies under such a name stays
                os.unlink(path)
