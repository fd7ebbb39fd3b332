"""What the host's helper reads from the kernel and keeps on disk, tried on real sockets, processes and files."""

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest
from cgidhost import archive, blockfile, lease, undo, waiting, workdir
from cgidhost.ending import TrialEnd
from cgidhost.instruments import host, worker_states
from cgidhost.instruments.base import Gauge
from cgidhost.process import cpu_clock, start_ticks
from cgidhost.record import Record, Teller
from cgidhost.sampler import sample_until_told
from cgidhost.sockdiag import Queue, SockDiag, tcp_query, unix_query

HELPER = [sys.executable, "-m", "cgidhost"]
PACKAGES = str(Path(archive.__file__).parent.parent)


def helper(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a verb as Ansible does."""
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    return subprocess.run([*HELPER, *args], capture_output=True, text=True, check=False, env=environment, timeout=60)


# --- sock_diag


def test_a_full_queue_is_seen_one_above_its_limit(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(3)
        for _ in range(6):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
            client.connect_ex(path)
        diag = SockDiag()

        found = diag.find_unix(path)

        assert found is not None
        assert diag.unix_queue(unix_query(found)) == Queue(depth=4, limit=3)


def test_both_queues_come_in_one_answer_and_a_closed_socket_as_none(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    diag = SockDiag()
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(path)
        unix.listen(5)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(9)
        found = diag.find_unix(path)
        assert found is not None
        requests = (unix_query(found), tcp_query("127.0.0.1", tcp.getsockname()[1]))

        assert diag.queues(*requests) == [Queue(0, 5), Queue(0, 9)]
        unix.close()
        assert diag.queues(*requests) == [None, Queue(0, 9)]
    assert diag.find_unix(path) is None


def test_another_socket_at_the_same_path_is_not_taken_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "s"
    diag = SockDiag()
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(str(path))
        first.listen(5)
        old = diag.find_unix(str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as second:
        second.bind(str(path))
        second.listen(6)
        new = diag.find_unix(str(path))

        assert old is not None
        assert new is not None
        assert diag.unix_queue(unix_query(old)) is None
        assert diag.unix_queue(unix_query(new)) == Queue(0, 6)


# --- instruments


@pytest.mark.parametrize(
    ("wchan", "want"),
    [
        ("0", "running"),
        ("unix_wait_for_peer", "connect"),
        ("unix_stream_read_generic", "read"),
        ("unix_stream_data_wait", "read"),
        ("futex_wait_queue_me", "idle"),
        ("futex_do_wait", "idle"),
        ("inet_csk_accept", "idle"),
        ("poll_schedule_timeout.constprop.0", "other"),
        ("synchronize_rcu_normal", "other"),
    ],
)
def test_a_worker_is_classed_by_what_it_sleeps_in(wchan: str, want: str) -> None:
    assert worker_states.class_of(wchan) == want


def test_the_hosts_row_leaves_out_interrupts_and_keeps_switches_and_forks() -> None:
    text = b"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 99 0 1\nctxt 500\nbtime 1\nprocesses 77\n"

    assert host.stat_fields(text) == "1,2,3,4,5,6,7,8,500,77"


def test_the_edge_reads_this_host_and_leaves_unknown_what_it_does_not_have() -> None:
    edge = host.edge()

    assert edge["file_max"] > edge["file_handles"] > 0
    assert edge["loadavg1"] >= 0
    assert all(value is None or value >= 0 for value in edge.values())


class Ticks(Gauge):
    """A gauge that takes a set time for its n-th sample."""

    name = "ticks"
    columns = "n"
    period_ns = 10_000_000

    def __init__(self, directory: str, slow: dict[int, float]) -> None:
        super().__init__(directory)
        self.slow = slow

    def read(self) -> str:
        """Return the sample's number."""
        time.sleep(self.slow.get(self.samples, 0))
        return str(self.samples)


def run_for(gauges: list[Gauge], seconds: float) -> dict[str, str]:
    read_fd, write_fd = os.pipe()
    timer = threading.Timer(seconds, os.write, (write_fd, b"stop\n"))
    timer.start()
    try:
        return sample_until_told(gauges, read_fd)
    finally:
        timer.join()
        os.close(read_fd)
        os.close(write_fd)


def test_a_slow_sample_is_not_made_up_for_and_the_schedule_stays(tmp_path: Path) -> None:
    gauge = Ticks(str(tmp_path), {5: 0.035})

    assert run_for([gauge], 0.4) == {}
    gauge.finish()

    times = [int(line.split(",")[0]) for line in (tmp_path / "ticks.csv").read_text().splitlines()[1:]]
    periods = (times[-1] - times[0]) / Ticks.period_ns
    assert gauge.missed >= 3
    assert periods - 1 <= gauge.samples + gauge.missed - 1 <= periods + 2


def test_a_gauge_that_breaks_does_not_end_the_others(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    good = Ticks(str(tmp_path), {})

    class Broken(Ticks):
        name = "broken"

        def read(self) -> str:
            """Fail as a file of /proc does."""
            raise OSError(errno.EIO, "broken")

    assert run_for([Broken(str(tmp_path / "a"), {}), good], 0.2) == {"broken": "[Errno 5] broken"}
    assert good.samples > 5


# --- what is kept on disk


def make_tree(directory: Path) -> dict[str, bytes]:
    files = {"httpd.conf": b"x", "logs/error_log": b"y" * 100_000, "load/rows.log": b""}
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


def test_an_archive_holds_every_regular_file_with_its_checksum_and_the_result_last(tmp_path: Path) -> None:
    files = make_tree(tmp_path / "001")
    (tmp_path / "001" / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "001" / "fifo")

    packed = archive.pack(str(tmp_path / "001"), str(tmp_path / "001.tar.gz"), lambda: b"{}")

    data = (tmp_path / "001.tar.gz").read_bytes()
    assert (packed.sha256, packed.size_bytes) == (sha256(data).hexdigest(), len(data))
    with tarfile.open(packed.path) as tar:
        names = tar.getnames()
        found = {name: member.read() for name in names if (member := tar.extractfile(name)) is not None}
    assert names[-2:] == ["result.json", "SHA256SUMS"]
    sums = found.pop("SHA256SUMS").decode()
    assert found == {**files, "result.json": b"{}"}
    assert sums == "".join(f"{sha256(found[n]).hexdigest()}  {n}\n" for n in names[:-1])


def test_an_archive_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    make_tree(tmp_path / "001")
    (tmp_path / "001" / "noise").write_bytes(os.urandom(1 << 20))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            archive.pack(str(tmp_path / "001"), str(tmp_path / "001.tar.gz"), lambda: b"{}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert [p.name for p in tmp_path.iterdir()] == ["001"]


def test_a_record_is_whole_however_its_lines_are_cut() -> None:
    told = b'{"server": {"httpd_pid": 2}}\n{"server": {"cgid_pid": 3}}\n'
    told += b'{"phase": {"name": "start"}}\n{"ended": "complete"}\n'
    record = Record("k")

    for at in range(len(told)):
        record.hear(told[at : at + 1])

    assert record.result["server"] == {"httpd_pid": 2, "cgid_pid": 3}
    assert record.result["phases"] == [{"name": "start"}]
    assert record.result["ended"] == "complete"


def test_a_bad_end_is_not_covered_up_by_a_later_one() -> None:
    record = Record("k")
    assert record.result["kind"] == "infra", "silence is a fault"

    record.hear(b'{"ended": "invalid", "kind": "treatment", "reason": "workers"}\n')
    record.override(TrialEnd("interrupted", "stopped"))

    assert record.result["kind"] == "treatment"


@pytest.mark.parametrize(
    ("work", "finish", "want"),
    [
        (None, None, ("complete", None)),
        (None, OSError(errno.ENOSPC, "No space left on device"), ("failed", "infra")),
        (TrialEnd("sut", "httpd died"), OSError(errno.ENOSPC, "No space left on device"), ("failed", "sut")),
        (KeyError("a fault of ours"), None, ("failed", "infra")),
    ],
)
def test_a_trial_ended_as_the_first_thing_went_wrong_and_is_finished_whatever_that_was(
    work: Exception | None, finish: Exception | None, want: tuple[str, str | None]
) -> None:
    read_fd, write_fd = os.pipe()
    record = Record("k")
    parts = []

    def part(error: Exception | None) -> None:
        parts.append(error)
        if error is not None:
            raise error

    Teller(write_fd).judge(lambda: part(work), lambda: part(finish))
    record.hear(os.read(read_fd, 1 << 16))

    assert parts == [work, finish]
    assert (record.result["ended"], record.result["kind"]) == want


def test_a_noted_directory_is_removed_and_the_journal_with_it(tmp_path: Path) -> None:
    made = tmp_path / "run"
    made.mkdir()
    undo.note(str(tmp_path), directory=str(made))

    assert undo.undo(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_processes_that_carry_the_trials_mark_are_ended_and_no_others(tmp_path: Path) -> None:
    mine = subprocess.Popen(["sleep", "60"], env={**os.environ, "CGIDLAB_TRIAL": str(tmp_path)})
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, "CGIDLAB_TRIAL": f"{tmp_path}-other"})
    reaper = threading.Thread(target=mine.wait)
    reaper.start()
    try:
        undo.end_processes(str(tmp_path))

        reaper.join(5)
        assert mine.returncode == -9
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


# --- who is still there


def control_of(pid: int) -> blockfile.Orderer:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return blockfile.Orderer(pid, start_ticks(pid) or 0, boot_id)


def test_a_control_process_on_this_machine_is_watched_and_needs_no_lease(tmp_path: Path) -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    watch = lease.Watch(control_of(process.pid), str(tmp_path), lease_s=0.0)

    assert watch.pidfd is not None
    assert not watch.expired()
    assert waiting.Patience(os.pipe()[0]).readable([watch.pidfd], 0) == []
    process.communicate()
    assert waiting.Patience(os.pipe()[0]).readable([watch.pidfd], 5) == [watch.pidfd]


def test_a_process_that_took_over_the_number_is_not_taken_for_the_control_process(tmp_path: Path) -> None:
    real = control_of(os.getpid())

    assert lease.Watch(blockfile.Orderer(real.pid, real.start_ticks + 1, real.boot_id), str(tmp_path), 1).pidfd is None
    assert lease.Watch(blockfile.Orderer(real.pid, real.start_ticks, "another boot"), str(tmp_path), 1).pidfd is None


def test_a_lease_ends_when_nobody_renews_it(tmp_path: Path) -> None:
    watch = lease.Watch(None, str(tmp_path), lease_s=0.2)
    patience = waiting.Patience(os.pipe()[0])
    for _ in range(4):
        lease.renew(str(tmp_path))
        patience.pause(0.1)
        assert not watch.expired()

    patience.until("the lease's end", watch.expired, 5)


def test_a_lock_is_free_again_only_when_every_copy_of_it_is_gone(tmp_path: Path) -> None:
    first = workdir.Lock(str(tmp_path))
    assert first.take()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read_fd, 1)
        os._exit(0)
    first.close()

    assert not workdir.Lock(str(tmp_path)).take()
    os.write(write_fd, b"x")
    os.waitpid(pid, 0)
    assert workdir.Lock(str(tmp_path)).take()


def test_a_stop_order_breaks_off_every_wait() -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"x")
    with pytest.raises(TrialEnd, match="stopped") as end:
        waiting.Patience(read_fd).until("never", lambda: None, 60)
    assert end.value.kind == "interrupted"


def test_a_wait_that_is_over_says_what_was_waited_for() -> None:
    with pytest.raises(TrialEnd, match=r"the moon: not within 0\.01 s") as end:
        waiting.Patience(os.pipe()[0]).until("the moon", lambda: None, 0.01)
    assert end.value.kind == "timeout"


# --- verbs


def test_a_block_file_that_cannot_be_read_is_one_line_of_json(tmp_path: Path) -> None:
    done = helper("start", "--block", str(tmp_path / "block.json"))

    assert done.returncode == 2
    assert "block.json" in json.loads(done.stdout)["error"]
    assert done.stderr == ""


def minimal_block(work_dir: Path, lease_s: float = 30) -> None:
    work_dir.mkdir()
    text = {
        "schema_version": 2,
        "block": 1,
        "work_dir": str(work_dir),
        "server_user": "nobody",
        "control": None,
        "lease_s": lease_s,
        "tools": {},
        "trials": [],
    }
    (work_dir / "block.json").write_text(json.dumps(text))


def test_awaiting_a_block_that_nobody_runs_says_so_at_once(tmp_path: Path) -> None:
    minimal_block(tmp_path / "b")

    done = helper("await", "--dir", str(tmp_path / "b"), "--number", "1", "--timeout", "30")

    assert json.loads(done.stdout) == {"number": 1, "state": "dead"}
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["block.json"], "nothing is put into what may be going away"


def test_a_work_directory_that_is_held_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    minimal_block(tmp_path / "b")
    lock = workdir.Lock(str(tmp_path / "b"))
    assert lock.take()
    lock.sign()

    done = helper("start", "--block", str(tmp_path / "b" / "block.json"))

    assert done.returncode == 2
    assert f"process {os.getpid()} runs a block" in json.loads(done.stdout)["error"]
    lock.close()
    assert json.loads(helper("start", "--block", str(tmp_path / "b" / "block.json")).stdout)["pid"] > 0


def test_cleanup_removes_only_a_work_directory_and_a_second_time_nothing(tmp_path: Path) -> None:
    minimal_block(tmp_path / "b")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()

    assert helper("cleanup", "--dir", str(tmp_path / "precious")).returncode == 2
    assert helper("cleanup", "--dir", str(tmp_path / "b")).returncode == 0
    assert helper("cleanup", "--dir", str(tmp_path / "b")).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_waiting_ends_when_nobody_reads_the_answer(tmp_path: Path) -> None:
    minimal_block(tmp_path / "b")
    lock = workdir.Lock(str(tmp_path / "b"))
    assert lock.take()
    lock.sign()  # this process plays the block process
    read_fd, write_fd = os.pipe()
    waiter = subprocess.Popen(
        [*HELPER, "await", "--dir", str(tmp_path / "b"), "--number", "1", "--timeout", "600"],
        stdout=write_fd,
        env={**os.environ, "PYTHONPATH": PACKAGES},
    )
    os.close(write_fd)
    os.close(read_fd)

    assert waiter.wait(30) == 0


def test_waiting_costs_no_cpu_and_renews_the_lease(tmp_path: Path) -> None:
    work_dir = tmp_path / "b"
    minimal_block(work_dir, lease_s=0.6)
    lock = workdir.Lock(str(work_dir))
    assert lock.take()
    lock.sign()
    watch = lease.Watch(None, str(work_dir), lease_s=30)
    patience = waiting.Patience(os.pipe()[0])
    waiter = subprocess.Popen(
        [*HELPER, "await", "--dir", str(work_dir), "--number", "1", "--timeout", "600"],
        env={**os.environ, "PYTHONPATH": PACKAGES},
        stdout=subprocess.PIPE,
    )
    try:
        path = Path(lease.lease_path(str(work_dir)))
        patience.until("the first renewal", path.exists, 30)
        used_ns, renewed_ns = time.clock_gettime_ns(cpu_clock(waiter.pid)), path.stat().st_mtime_ns
        time.sleep(1.0)  # what it uses in that time is what is asked

        assert time.clock_gettime_ns(cpu_clock(waiter.pid)) - used_ns < 20_000_000
        assert path.stat().st_mtime_ns - renewed_ns > 300_000_000
        assert not watch.expired()
    finally:
        waiter.kill()
        waiter.communicate()


def test_waiting_ends_with_the_trial(tmp_path: Path) -> None:
    minimal_block(tmp_path / "b")
    lock = workdir.Lock(str(tmp_path / "b"))
    assert lock.take()
    lock.sign()
    waiter = subprocess.Popen(
        [*HELPER, "await", "--dir", str(tmp_path / "b"), "--number", "2", "--timeout", "600"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": PACKAGES},
    )
    workdir.add_ended(str(tmp_path / "b"), {"number": 1, "ended": "complete"})
    workdir.add_ended(str(tmp_path / "b"), {"number": 2, "ended": "failed"})

    out, _ = waiter.communicate(timeout=30)
    assert json.loads(out) == {"state": "ended", "number": 2, "ended": "failed"}
