"""Time series of all listeners: their names, that they are bounded, and that no counter ever falls."""

import contextlib
import os
import secrets
import socket
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cgidhost.bpfcounts import ConnectCounts
from cgidhost.observe import exporter, scraping
from cgidhost.observe.holders import run_by
from cgidhost.observe.listening import ListenerRow
from cgidhost.observe.patterns import pattern
from cgidhost.observe.series import OTHERS, AllSeries, Labels, ListenerSeries
from cgidhost.sockdiag import Queue, UnixListener
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from cgidlab.cli import main
from tests.waiting import eventually

HERE = "net:[1]"


@pytest.mark.parametrize(
    ("path", "pids", "want"),
    [
        ("/run/apache2/cgisock.351", (), "/run/apache2/cgisock.*"),
        ("/run/cgisock.7", (7,), "/run/cgisock.*"),
        ("/run/app-7.sock", (7,), "/run/app-*.sock"),
        ("/run/app-7.sock", (8,), "/run/app-7.sock"),
        ("/run/php/php8.2-fpm.sock", (351,), "/run/php/php8.2-fpm.sock"),
        ("/run/user/1000/bus", (), "/run/user/*/bus"),
        ("\0/containerd/9f86d081884c7d659a2feaa0c55ad015/x", (), "@/containerd/*/x"),
        ("/var/x/vscode-1c2a4d3e-aaaa-bbbb-cccc-0123456789ab.sock", (), "/var/x/vscode-*.sock"),
        ("/run/\udcff\x1b[2J\n.sock", (), r"/run/\xff\x1b[2J\n.sock"),
    ],
)
def test_a_path_loses_what_changes_with_each_start(path: str, pids: Iterable[int], want: str) -> None:
    assert pattern(path, set(pids)) == want


def test_metrics_of_names_that_are_no_text_can_be_written() -> None:
    """Anybody on the host may call a socket, or a program, what no encoding has."""
    one = row("/run/\udcff.sock")
    one.program = "\udc80\x1b]0;"
    registry = CollectorRegistry()
    registry.register(Told(AllSeries(HERE).update([(one, None, None)])))

    said = generate_latest(registry).decode()

    assert r'path="/run/\\xff.sock",server="\\x80\\x1b]0;"' in said


@dataclass(eq=False)
class Told(Collector):
    """What the exporter tells of some series."""

    known: dict[Labels, ListenerSeries]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return exporter.families_of(self.known)


@pytest.fixture
def scraped() -> Iterator[int]:
    """Answer with no metrics, and return the port."""
    server = scraping.start("127.0.0.1", 0, make_wsgi_app(CollectorRegistry()))
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_whoever_keeps_connections_open_keeps_nobody_from_the_metrics(scraped: int) -> None:
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", scraped), timeout=10) for _ in range(60)]
    for one in idle:
        with contextlib.suppress(OSError):  # it may have been ended already
            one.sendall(b"GET /metrics HTTP/1.0\r\nX: ")

    with urllib.request.urlopen(f"http://127.0.0.1:{scraped}/metrics", timeout=10) as answer:
        assert answer.status == 200

    assert eventually(lambda: threading.active_count() - before <= scraping.MOST_OPEN, 10)
    for one in idle:
        one.close()


def test_who_says_nothing_is_not_waited_for(scraped: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "SILENT_S", 0.05)

    with socket.create_connection(("127.0.0.1", scraped), timeout=10) as silent:
        assert silent.recv(1) == b""


def test_no_more_of_a_request_is_kept_than_prometheus_says(scraped: int) -> None:
    line = b"X: " + b"a" * 1000 + b"\r\n"

    with socket.create_connection(("127.0.0.1", scraped), timeout=10) as endless:
        endless.sendall(b"GET /metrics HTTP/1.0\r\n" + line * (1 + scraping.MOST_ASKED // len(line)))

        assert endless.recv(12) == b"HTTP/1.0 200", "it does not wait for the end"


def test_a_text_file_is_written_through_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory may be node_exporter's own, and the exporter is root."""
    monkeypatch.setattr(secrets, "randbits", lambda _: 7)
    other, wanted = tmp_path / "other", tmp_path / "unix.prom"
    other.write_text("kept")
    (tmp_path / f"unix.prom.{os.getpid()}.7").symlink_to(other)

    with pytest.raises(FileExistsError):
        exporter.replace_file(str(wanted), b"metrics")

    assert other.read_text() == "kept"
    exporter.replace_file(str(wanted), b"metrics")
    assert wanted.read_bytes() == b"metrics"
    assert {p.name for p in tmp_path.iterdir()} == {"other", "unix.prom"}


def row(path: str, inode: int = 1, network: str = HERE, limit: int = 5, depth: int = 0) -> ListenerRow:
    listener = UnixListener(path, inode, (0, 0), Queue(depth, limit))
    found = ListenerRow(network, listener, 0)
    found.see(listener, 0)
    found.named, found.program = True, "php-fpm"
    return found


def test_counters_go_on_when_a_socket_is_replaced_and_only_add_what_came() -> None:
    one = row("/run/a.sock")
    every = AllSeries(HERE)
    every.update([(one, ConnectCounts(10, 4, 1, 0, 0), 2)])
    one.full_ns += 3_000_000_000
    one.see(UnixListener("/run/a.sock", 2, (0, 0), Queue(6, 5)), 1)

    (series,) = every.update([(one, ConnectCounts(12, 5, 1, 0, 0), 0)]).values()

    assert (series.connects, series.turned_away, series.refused, series.sleeping) == (12, 5, 1, 0)
    assert (series.full_s, series.depth, series.limit, series.listeners) == (3.0, 6, 5, 1)


@pytest.mark.parametrize("of_old", [None, ConnectCounts(12, 4, 1, 0, 0)], ids=["unknown", "known too"])
def test_a_connection_counts_once_where_the_path_has_an_old_listener_and_a_new_one(
    of_old: ConnectCounts | None,
) -> None:
    """The old one is remembered for an hour, and connects are counted by path."""
    old, new = row("/run/a.sock", 1), row("/run/a.sock", 2)
    every = AllSeries(HERE)
    every.update([(old, ConnectCounts(10, 4, 1, 0, 0), 0)])

    (series,) = every.update([(old, of_old, 0), (new, ConnectCounts(12, 4, 1, 0, 0), 0)]).values()

    assert (series.connects, series.turned_away, series.refused) == (12, 4, 1)


def test_a_path_that_was_forgotten_meanwhile_makes_no_counter_fall() -> None:
    one = row("/run/a.sock")
    every = AllSeries(HERE)
    every.update([(one, ConnectCounts(10, 4, 1, 0, 0), 0)])

    (series,) = every.update([(one, ConnectCounts(2, 1, 0, 0, 0), 0)]).values()

    assert (series.connects, series.turned_away) == (12, 5)


def test_sockets_that_differ_in_a_process_id_share_a_series_and_the_fullest_is_shown() -> None:
    rows = [row("/run/cgisock.351", depth=1), row("/run/cgisock.402", depth=3), row("/run/cgisock.407")]

    known = AllSeries(HERE).update([(r, ConnectCounts(1, 0, 0, 0, 0), 0) for r in rows])

    assert list(known) == [Labels("/run/cgisock.*", "php-fpm", "host")]
    (series,) = known.values()
    assert (series.listeners, series.depth, series.limit, series.connects) == (3, 3, 5, 3)


def test_what_is_not_known_is_left_out_and_not_zero() -> None:
    (series,) = AllSeries(HERE).update([(row("@abstract"), None, None)]).values()

    assert (series.connects, series.sleeping) == (None, None)


def test_another_network_is_named_by_its_number() -> None:
    (labels,) = AllSeries(HERE).update([(row("/run/a.sock", network="net:[4026532281]"), None, None)])

    assert labels.namespace == "4026532281"


def test_the_number_of_series_is_bounded_and_those_that_are_too_many_are_summed() -> None:
    rows = [row(f"/run/{letter}.sock", inode) for inode, letter in enumerate("abcde")]
    every = AllSeries(HERE, most=3)
    counts = ConnectCounts(2, 1, 0, 0, 0)
    every.update([(r, counts, 0) for r in rows])

    known: dict[Labels, ListenerSeries] = every.update([(r, counts, 0) for r in reversed(rows)])

    assert [labels.path for labels in known] == ["/run/a.sock", "/run/b.sock", "/run/c.sock", OTHERS]
    assert (every.left_out, known[Labels(OTHERS, OTHERS, OTHERS)].connects) == (2, 4)


def test_a_listener_that_is_forgotten_gives_its_place_and_those_in_others_take_it_with_no_count_twice() -> None:
    rows = [row(f"/run/{letter}.sock", inode) for inode, letter in enumerate("abc")]
    every = AllSeries(HERE, most=2)
    counts = ConnectCounts(2, 1, 0, 0, 0)
    every.update([(r, counts, 0) for r in rows])
    every.update([(r, counts, 0) for r in rows[1:]])

    known = every.update([(r, counts, 0) for r in rows[1:]])

    assert known[Labels("/run/c.sock", "php-fpm", "host")].connects == 0
    assert known[Labels("/run/b.sock", "php-fpm", "host")].connects == 2
    assert known[Labels(OTHERS, OTHERS, OTHERS)].connects == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--serve", "here"], "no address with a port"),
        (["--serve", "127.0.0.1:99999"], "no address with a port"),
        (["--serve", "127.0.0.1:1", "--host", "web1"], "playbooks/exporter.yml"),
        (["--serve", "127.0.0.1:1", "--all"], "leave --all out"),
        (["--textfile", "/x.txt"], "does not end in .prom"),
    ],
)
def test_what_cannot_be_served_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", *words]) == 2
    assert said in capsys.readouterr().err


def test_an_address_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["observe", "--serve", address, "--textfile", str(tmp_path / "x.prom")]) == 3

    assert "Address already in use" in capsys.readouterr().err


def test_a_textfile_without_a_directory_is_refused_when_it_is_to_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["observe", "--textfile", str(tmp_path / "node-exporter" / "unix.prom")]) == 3

    said = capsys.readouterr().err
    assert f"there is no directory {tmp_path}/node-exporter" in said
    assert "--collector.textfile.directory" in said


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["/opt/app/serve.py", "--key", "secret"], "serve.py"),
        (["-u", "-m", "gunicorn", "app"], "gunicorn"),
        (["-I", "-B", "-c", "secret = 1"], "python3"),
        (["-Ic", "secret = 1"], "python3"),
        (["-e", "secret = 1"], "python3"),
        ([], "python3"),
    ],
)
def test_a_program_given_as_words_is_not_told(words: list[str], want: str) -> None:
    assert run_by("python3", words) == want
