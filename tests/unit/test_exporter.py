"""Time series of all listeners: their names, that they are bounded, and that no counter ever falls."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest
from cgidhost.bpfcounts import ConnectCounts
from cgidhost.observe.holders import run_by
from cgidhost.observe.listening import ListenerRow
from cgidhost.observe.patterns import pattern
from cgidhost.observe.series import OTHERS, AllSeries, Labels, ListenerSeries
from cgidhost.sockdiag import Queue, UnixListener

from cgidlab.cli import main

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
    ],
)
def test_a_path_loses_what_changes_with_each_start(path: str, pids: Iterable[int], want: str) -> None:
    assert pattern(path, set(pids)) == want


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


def test_names_that_are_no_utf_8_can_be_scraped() -> None:
    strange = row(os.fsdecode(b"/run/\xff.sock"))
    strange.program = os.fsdecode(b"na\xfeme")

    (labels,) = AllSeries(HERE).update([(strange, None, None)])

    assert (labels.path, labels.server) == (r"/run/\xff.sock", r"na\xfeme")
    assert "".join(labels).encode()


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
