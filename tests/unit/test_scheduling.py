"""Blocks are spread over servers, kept whole, and given back when a server dies."""

import heapq
import threading
from collections.abc import Callable

import pytest

from cgidlab.analysis.looks import planned_looks
from cgidlab.engine.scheduling import Board, HostLost, Work, drive
from cgidlab.errors import RunError
from cgidlab.model import Repetitions


def makespan_s(
    hosts: int,
    durations_s: list[float],
    limit: Callable[[int], int] | None = None,
    dies: tuple[str, float] | None = None,
) -> tuple[float, dict[int, str]]:
    """Run a board by a simulated clock; return when the last block ended and where each one did."""
    board = Board(range(1, len(durations_s) + 1), [f"h{n}" for n in range(hosts)])
    if limit:
        board.limit = limit(0)
    now_s, ended, where = 0.0, [], {}
    ends: list[tuple[float, str]] = []
    deaths = [dies] if dies else []
    while True:
        running = {host for _, host in ends}
        for host in board.hosts:
            if host not in running and (block := board.take(host)) is not None:
                heapq.heappush(ends, (now_s + durations_s[block - 1], host))
                where[block] = host
        if not ends:
            assert board.over
            return now_s, where
        if deaths and deaths[0][1] <= ends[0][0]:
            host, now_s = deaths.pop()
            ends = [(at, h) for at, h in ends if h != host]
            heapq.heapify(ends)
            board.lost(host)
            continue
        now_s, host = heapq.heappop(ends)
        board.finished(host)
        ended.append(host)
        if limit:
            board.limit = limit(board.whole)


@pytest.mark.parametrize("blocks", [6, 10, 20])
def test_four_servers_need_less_than_035_of_the_time_of_one(blocks: int) -> None:
    durations_s = [60.0 + block % 3 for block in range(blocks)]

    assert makespan_s(4, durations_s)[0] < 0.35 * makespan_s(1, durations_s)[0]


def test_waiting_for_planned_looks_costs_little_of_that() -> None:
    """No block begins that the next look does not wait for; here no look decides anything."""
    looks = planned_looks(Repetitions(8, 20))

    def limit(whole: int) -> int:
        return next((look for look in looks if look > whole), looks[-1])

    durations_s = [60.0] * 20

    assert makespan_s(4, durations_s, limit)[0] < 0.35 * makespan_s(1, durations_s, limit)[0]


def test_a_server_that_dies_gives_its_block_to_the_others_whole() -> None:
    all_s, where = makespan_s(2, [10.0] * 6, dies=("h1", 15.0))

    assert set(where) == {1, 2, 3, 4, 5, 6}
    assert [block for block, host in where.items() if host == "h1"] == [2]  # which it had finished
    assert all_s == 50.0


def test_blocks_begin_in_their_order_and_none_beyond_the_limit() -> None:
    board = Board([1, 2, 3, 4], ["a", "b"])
    board.limit = 2

    assert [board.take("a"), board.take("b")] == [1, 2]
    board.finished("b")
    assert board.whole == 0  # block 1 still runs
    assert board.take("b") is None
    board.finished("a")
    assert board.whole == 2
    assert board.over


def test_a_block_that_was_begun_waits_for_its_server_unless_that_is_lost() -> None:
    board = Board([1, 2], ["a", "b"], pinned={1: "b"})

    assert board.take("a") == 2
    assert board.lost("b") is None
    board.finished("a")
    assert board.take("a") == 1


def test_servers_really_run_at_once() -> None:
    """Each of four blocks waits until all four run: one after the other they would never end."""
    together = threading.Barrier(4, timeout=60)
    board = Board([1, 2, 3, 4], ["a", "b", "c", "d"])
    done: list[tuple[str, int]] = []

    def run(_host: str, _block: int) -> int:
        return together.wait()

    drive(board, Work(run, lambda host, block, _: done.append((host, block)), no_loss), threading.Event())

    assert sorted(block for _, block in done) == [1, 2, 3, 4]
    assert {host for host, _ in done} == {"a", "b", "c", "d"}


def no_loss(host: str, _block: int, err: HostLost) -> None:
    raise AssertionError(f"{host}: {err}")


def test_what_a_lost_server_had_is_run_by_the_others() -> None:
    board = Board([1, 2, 3], ["a", "b"])
    a_runs = threading.Event()
    done, losses = [], []

    def run(host: str, block: int) -> None:
        if host == "a":
            a_runs.set()
            raise HostLost("gone")
        assert a_runs.wait(60)
        del block

    drive(
        board,
        Work(
            run,
            lambda host, block, _: done.append((host, block)),
            lambda host, block, err: losses.append((host, block, err.what)),
        ),
        threading.Event(),
    )

    assert sorted(done) == [("b", 1), ("b", 2), ("b", 3)]
    assert [(host, what) for host, _, what in losses] == [("a", "gone")]


@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]], ids=["one", "two"])
def test_the_loss_of_the_last_server_is_an_error(hosts: list[str]) -> None:
    def run(host: str, _block: int) -> None:
        raise HostLost(f"{host} is gone")

    with pytest.raises(HostLost):
        drive(Board([1, 2, 3], hosts), Work(run, lambda *_: None, lambda *_: None), threading.Event())


def test_any_other_error_stops_all_servers_and_is_raised() -> None:
    stop = threading.Event()

    def run(host: str, _block: int) -> None:
        if host == "a":
            raise RunError("the disk of this machine is full")
        assert stop.wait(60)

    board = Board([1, 2, 3, 4], ["a", "b"])
    with pytest.raises(RunError, match="disk"):
        drive(board, Work(run, lambda *_: None, no_loss), stop)

    assert not board.over  # blocks 3 and 4 were not begun


def test_no_block_begins_after_the_board_is_closed() -> None:
    board = Board([1, 2, 3], ["a"])
    done = []

    def finished(_host: str, block: int, _result: None) -> None:
        done.append(block)
        board.close()

    drive(board, Work(lambda *_: None, finished, no_loss), threading.Event())

    assert done == [1]
