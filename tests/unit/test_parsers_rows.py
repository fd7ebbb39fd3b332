"""What drivers and instruments wrote line by line: real files, and whatever else a file may hold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cgidlab import numeric_lines
from cgidlab.drivers import ab, h2load, wrk
from cgidlab.drivers.base import Totals
from cgidlab.errors import StoreError
from cgidlab.instruments import cgid_daemon, connect_times, host, listen_queue, worker_states
from cgidlab.parsers import access_log

DATA = Path(__file__).parent.parent / "data" / "trial"


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def test_real_h2load_rows_are_all_there() -> None:
    rows = h2load.parse_rows(read("h2load.rows"))

    first = [int(n) for n in read("h2load.rows").split(b"\n", 1)[0].split()]
    assert len(rows.status) == 200
    assert [rows.start_us[0], rows.status[0], rows.latency_us[0]] == first


def test_h2loads_closing_words_are_read() -> None:
    assert h2load.parse_totals(read("h2load.stdout")) == Totals(2430, 0)


def test_h2load_that_was_ended_has_no_closing_words() -> None:
    assert h2load.parse_totals(b"starting benchmark...\nprogress: 10% done\n") is None


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"1\t2",
        b"1\t2\t3\t4",
        b"",
        b"1\t\t3",
        b"1\t200\tx",
        b"1\t1000\t3",
        b"-1\t200\t3",
        b"1\t200\t" + b"9" * 30,
    ],
    ids=repr,
)
def test_a_bad_line_among_h2loads_rows_is_left_out_and_the_others_are_read(line: bytes) -> None:
    rows = h2load.parse_rows(b"10\t200\t5\n" + line + b"\n20\t503\t6\n")

    assert rows.start_us.tolist() == [10, 20]


def test_a_cut_last_line_is_bad_although_it_looks_whole() -> None:
    """Its last number may have lost digits: 21 ms would count as 2."""
    rows = h2load.parse_rows(b"10\t200\t5\n20\t200\t21")

    assert rows.latency_us.tolist() == [5]


def test_microseconds_since_1970_keep_every_digit() -> None:
    rows = h2load.parse_rows(b"179544760103079512\t200\t3\n")

    assert rows.start_us.tolist() == [179544760103079512]


def test_real_ab_rows_are_milliseconds_and_whole_seconds() -> None:
    rows = ab.parse_rows(read("ab.rows"), where="x")

    last = read("ab.rows").splitlines()[-1].split(b"\t")
    assert len(rows.status) == 59
    assert [rows.start_us[-1], rows.latency_us[-1]] == [int(last[1]) * 1_000_000, int(last[4]) * 1000]


def test_a_file_that_is_not_abs_is_refused_by_name() -> None:
    with pytest.raises(StoreError) as caught:
        ab.parse_rows(b"starttime,seconds\n", where="load/rows.log")
    assert caught.value.where == "load/rows.log"


def test_a_real_access_log_is_read() -> None:
    log = access_log.parse_access_log(read("access_log"))

    assert (log.bad_lines, len(log.status)) == (0, 100)
    assert set(log.paths) == {line.split(b" ", 4)[4].decode() for line in read("access_log").splitlines()}
    assert (log.end_us >= log.begin_us).all()


def test_paths_stay_beside_their_numbers_although_lines_between_are_bad() -> None:
    log = access_log.parse_access_log(b"1 2 200 3 /a\nx\n4 5 503 6 /b c\n7 8 200 9 -\n10 11 200 1 /a\n1 2 3")

    assert log.bad_lines == 2
    assert [log.paths[i] for i in log.path_index] == ["/a", "/b c", "-", "/a"]
    assert log.begin_us.tolist() == [1, 4, 7, 10]
    assert log.of_path("/a").tolist() == [True, False, False, True]
    assert not log.of_path("/none").any()


def test_the_quick_way_and_the_slow_way_read_an_access_log_alike() -> None:
    quick = access_log.parse_access_log(read("access_log").replace(b"/server-status", b"/cgi-bin/hello.cgi"))
    slow = access_log.parse_access_log(read("access_log") + b"garbage\n")

    assert slow.bad_lines == 1
    assert np.array_equal(slow.begin_us, quick.begin_us)
    assert np.array_equal(slow.status, quick.status)


_fields = st.tuples(
    st.sampled_from([b"1", b"20", b"0", b"1796058444018816"]),
    st.sampled_from([b"2", b"-1", b"9" * 19]),
    st.sampled_from([b"200", b"0200", b"2000", b"503"]),
    st.sampled_from([b"6", b"x", b""]),
    st.sampled_from([b"/a", b"/b", b"/b /a", b"/a /b", b"/a 1", b"/", b"7", b"-", b"*", b"/a b"]),
)


@example(lines=[b"1 2 200 5 7", b"1 2 200 5 /a /b"], whole=True)
@example(lines=[b"1 2 200 5 /a", b"1 2 200 5 /b /a"], whole=True)
@example(lines=[b"1 2 2000 5 /a"], whole=True)
@given(
    lines=st.lists(st.one_of(_fields, _fields, st.just((b"garbage",))).map(b" ".join), max_size=6), whole=st.booleans()
)
def test_any_access_log_is_read_alike_the_quick_way_and_line_by_line(lines: list[bytes], *, whole: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if whole else b"")

    quick = access_log.parse_access_log(data)

    slow = access_log._line_by_line(data[: data.rfind(b"\n") + 1], int(not data.endswith(b"\n") and bool(data)))  # noqa: SLF001 -- the other way
    assert [quick.paths[i] for i in quick.path_index] == [slow.paths[i] for i in slow.path_index]
    assert quick.bad_lines == slow.bad_lines
    for name in ("begin_us", "end_us", "status", "size_bytes"):
        assert np.array_equal(getattr(quick, name), getattr(slow, name)), name


def test_real_samples_of_the_queue_are_read() -> None:
    queue = listen_queue.parse_listen_queue(read("listen_queue.csv"), where="x")

    assert (queue.bad_lines, len(queue.cgid_depth)) == (0, 119)
    assert set(queue.cgid_limit.tolist()) == {100}
    assert (np.diff(queue.monotonic_ns) > 0).all()


def test_a_socket_that_was_not_there_is_absent_and_not_empty() -> None:
    text = b"monotonic_ns,cgid_depth,cgid_limit,tcp_depth,tcp_limit\n1,,,0,511\n2,5,100,,\n3,-,100,0,511\n"

    queue = listen_queue.parse_listen_queue(text, where="x")

    assert (queue.bad_lines, queue.cgid_depth.tolist(), queue.tcp_limit.tolist()) == (1, [-1, 5], [511, -1])


def test_real_samples_of_workers_add_up() -> None:
    workers = worker_states.parse_worker_states(read("worker_states.csv"), where="x")

    parts = workers.connect + workers.read + workers.idle + workers.running + workers.other
    assert workers.bad_lines == 0
    assert np.array_equal(parts, workers.threads)


def test_real_connect_times_are_read() -> None:
    connects = connect_times.parse_connect_times(read("connect_times.csv"))

    assert (connects.bad_lines, len(connects.result)) == (0, 120)
    assert not connects.result.any()


def test_results_of_connect_keep_their_sign() -> None:
    assert connect_times.parse_connect_times(b"1,2,-111\n\n3,4,0\n").result.tolist() == [-111, 0]


def test_lost_events_are_added_up() -> None:
    assert connect_times.parse_lost_events(b"Attaching 3 probes\nLost 12 events\nLost 1 events\n") == 13


def test_real_samples_of_the_daemon_are_read() -> None:
    daemon = cgid_daemon.parse_cgid_daemon(read("cgid_daemon.csv"), where="x")

    assert (daemon.bad_lines, len(set(daemon.pid.tolist()))) == (0, 1)
    assert (np.diff(daemon.cpu_ns) >= 0).all()


def test_the_load_generators_clock_is_absent_while_it_does_not_run() -> None:
    counters = host.parse_host_counters(read("host.csv"), where="x")

    lines = read("host.csv").splitlines()[1:]
    assert counters.bad_lines == 0
    assert (counters.driver_cpu_ns == numeric_lines.ABSENT).tolist() == [line.endswith(b",") for line in lines]
    assert (counters.user[1:] >= counters.user[:-1]).all()


CSV: list[tuple[str, Callable[..., object]]] = [
    ("listen_queue.csv", listen_queue.parse_listen_queue),
    ("worker_states.csv", worker_states.parse_worker_states),
    ("cgid_daemon.csv", cgid_daemon.parse_cgid_daemon),
    ("host.csv", host.parse_host_counters),
]


@pytest.mark.parametrize(("name", "parser"), CSV, ids=[name for name, _ in CSV])
def test_a_missing_column_is_named_with_the_file(name: str, parser: Callable[..., object]) -> None:
    column = read(name).split(b"\n")[0].split(b",")[1].decode()

    with pytest.raises(StoreError, match=column) as caught:
        parser(read(name).replace(column.encode(), b"x", 1), where=f"instruments/{name}")
    assert caught.value.where == f"instruments/{name}"


WRK = b"""Running 2s test @ http://127.0.0.1:8080/cgi-bin/hello
  1 threads and 20 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.22ms   10.74ms 100.67ms   95.03%
    Req/Sec     7.33k     7.72k   28.86k    85.00%
  14744 requests in 2.05s, 633.53KB read
"""


def test_wrks_rows_are_moments_of_answers() -> None:
    rows = wrk.parse_rows(b"1795909714828526\t200\nhello\n1795909714831353\t503\n-1\t200\n")

    assert (rows.start_us.tolist(), rows.status.tolist()) == ([1795909714828526, 1795909714831353], [200, 503])


def test_wrks_socket_errors_are_requests_without_an_answer_and_its_timeouts_are_slow_answers() -> None:
    assert wrk.parse_totals(WRK) == Totals(14744, 0)
    assert wrk.parse_totals(WRK + b"  Socket errors: connect 1, read 293, write 2, timeout 7\n") == Totals(15040, 296)
    assert wrk.parse_totals(WRK[:200]) is None


@pytest.mark.parametrize(("name", "parser"), CSV, ids=[name for name, _ in CSV])
def test_columns_are_found_by_name_and_not_by_place(name: str, parser: Callable[..., object]) -> None:
    turned = b"\n".join(b",".join(line.split(b",")[::-1]) for line in read(name).splitlines()) + b"\n"

    assert repr(parser(turned, where="x")) == repr(parser(read(name), where="x"))


@pytest.mark.parametrize(("name", "parser"), CSV, ids=[name for name, _ in CSV])
@given(st.data())
def test_no_bytes_break_a_csv_parser(name: str, parser: Callable[..., object], data: st.DataObject) -> None:
    header, _, body = read(name).partition(b"\n")
    junk = data.draw(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(body.splitlines()))))
    head = data.draw(st.sampled_from([header + b"\n", b"", b"\0\n"]))
    try:
        parser(head + b"\n".join(junk), where="x")
    except StoreError as err:
        assert err.where == "x"  # noqa: PT017 -- not raising is fine as well


@given(st.binary())
def test_no_bytes_break_the_parsers_of_rows(data: bytes) -> None:
    h2load.parse_rows(data)
    h2load.parse_totals(data)
    access_log.parse_access_log(data)
    connect_times.parse_connect_times(data)
    connect_times.parse_lost_events(data)
    ab.parse_rows(read("ab.rows") + data, where="x")


token = st.one_of(st.from_regex(r"-?[0-9]{1,20}", fullmatch=True), st.sampled_from(["", "-", "x", "+1", "1.5", " 1"]))


@given(lines=st.lists(st.lists(token, min_size=1, max_size=4)), ended=st.booleans())
def test_every_line_is_either_read_or_counted(lines: list[list[str]], *, ended: bool) -> None:
    """The quick way over clean data must not read what the pattern refuses."""
    text = "\n".join(",".join(fields) for fields in lines) + ("\n" if ended and lines else "")

    table = numeric_lines.parse(text.encode(), separator=b",", fields=2)

    whole = text.split("\n")[:-1]
    good = [
        [int(n) for n in ln.split(",")]
        for ln in whole
        if ln.count(",") == 1
        and all(0 < len(n.removeprefix("-")) <= 18 and n.removeprefix("-").isdigit() for n in ln.split(","))
    ]
    cut = 1 if text and not text.endswith("\n") else 0
    assert [list(row) for row in zip(*(c.tolist() for c in table.columns), strict=True)] == good
    assert table.bad_lines == len(whole) - len(good) + cut
