"""A block's control group counts what nobody else does, and goes away however the block ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgidhost import group, sentinel, snapshot, speed
from cgidhost.recover import recover

PACKAGES = str(Path(group.__file__).parent.parent)
BUSY = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
# A member that starts a program, which ignores that its own children end: they are in nobody's account.
MEMBER = f"""
import os, signal, subprocess, sys
from cgidhost import group
own, why = group.make(sys.argv[1])
if own is None:
    print("none", why, flush=True)
    sys.exit()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    exec({BUSY!r})
    os._exit(0)
try:
    os.wait()
except ChildProcessError:
    pass
print(own.path, own.used_ns(), flush=True)
if sys.argv[2] == "leave":
    sys.stdin.read(1)
    own.leave()
else:
    sys.stdin.read()
"""


class Member:
    """A process that made a group for itself."""

    def __init__(self, blocks: Path, end: str, *within: str) -> None:
        self.process = subprocess.Popen(
            [*within, sys.executable, "-c", MEMBER, str(blocks), end],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PACKAGES},
        )
        assert self.process.stdout is not None
        self.path, _, rest = self.process.stdout.readline().strip().partition(" ")
        if self.path == "none":
            self.end()
            pytest.skip(rest)
        self.used_s = int(rest) / 1e9

    def end(self, sig: int = signal.SIGKILL) -> None:
        """End it, and wait until it has gone."""
        self.process.send_signal(sig)
        self.process.communicate()


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[Path]:
    """Return a directory of blocks, whose groups are gone afterwards."""
    path = tmp_path / "work"
    path.mkdir()
    yield path
    group.remove_dead(str(path))


def test_what_nobody_reaps_is_counted_and_the_group_goes_with_its_block(blocks: Path) -> None:
    member = Member(blocks, "leave")

    assert member.used_s >= 0.2, "scripts of a daemon that ignores SIGCHLD are in no process's own account"
    assert group.directories(str(blocks)) == [member.path]
    member.process.communicate("x")
    assert group.directories(str(blocks)) == []


def test_a_killed_blocks_group_is_named_by_a_snapshot_and_removed_by_recover(blocks: Path) -> None:
    member = Member(blocks, "wait")
    member.end()

    assert member.path in {entry["path"] for entry in snapshot.take(str(blocks), "/nowhere")["files"]}
    found = recover(str(blocks), [], [])
    assert found == {"undone": [f"removed the control group {member.path}"], "problems": []}
    assert recover(str(blocks), [], []) == {"undone": [], "problems": []}


def test_a_group_in_which_somebody_lives_stays(blocks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_GONE_S", 0.05)
    member = Member(blocks, "wait")

    removed, problems = group.remove_dead(str(blocks))

    assert removed == []
    assert [p for p in problems if member.path in p and "processes are still in it" in p]
    member.end()


def test_a_group_of_other_blocks_is_nobodys_to_remove(blocks: Path, tmp_path: Path) -> None:
    member = Member(blocks, "wait")
    member.end()

    assert group.remove_dead(str(tmp_path / "other")) == ([], [])
    assert Path(member.path).is_dir()


@pytest.mark.needs_root
def test_a_group_of_a_container_with_the_same_path_is_not_this_hosts(blocks: Path) -> None:
    own = f'mount -t tmpfs tmpfs {blocks.parent} && exec "$@"'
    member = Member(blocks, "wait", "unshare", "--mount", "--propagation", "private", "sh", "-c", own, "sh")

    assert Path(member.path).is_dir()
    assert group.directories(str(blocks)) == []
    assert group.remove_dead(str(blocks)) == ([], [])
    member.end()
    Path(member.path).rmdir()


@pytest.mark.parametrize(
    ("path", "root", "point", "want"),
    [
        ("/a.slice/b.scope", "/", "/sys/fs/cgroup", "/sys/fs/cgroup/a.slice/b.scope"),
        ("/", "/", "/sys/fs/cgroup", "/sys/fs/cgroup"),
        ("/docker/x/y", "/docker/x", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpuacct/y"),
        ("/docker/x", "/docker/x", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpuacct"),
        ("/docker/xy", "/docker/x", "/sys/fs/cgroup", None),
        ("/../outer", "/", "/sys/fs/cgroup", None),
        (None, "/", "/sys/fs/cgroup", None),
    ],
)
def test_the_own_group_is_found_below_what_is_mounted(
    path: str | None, root: str, point: str, want: str | None
) -> None:
    assert group._below(path, root, point) == want  # noqa: SLF001 -- no container of each kind is at hand


@pytest.mark.parametrize("name", ["cpu.weight", "cpu.shares"])
def test_a_group_that_would_divide_the_cpus_is_not_used(tmp_path: Path, name: str) -> None:
    """All of a block, hundreds of workers, would weigh as much as one process of a neighbour."""
    group._refuse_to_share(str(tmp_path))  # noqa: SLF001 -- no such hierarchy is at hand
    (tmp_path / name).write_text("100")

    with pytest.raises(OSError, match="changes how CPUs are shared"):
        group._refuse_to_share(str(tmp_path))  # noqa: SLF001 -- same


STAT = b"cpu  10 0 10 100 0 0 0 0 9 9\ncpu0 4 0 4 50 0 0 0 0 9 9\ncpu1 6 0 6 50 0 0 0 0 9 9\nintr 1 2\n"


@pytest.mark.parametrize(("cpus", "want"), [({0, 1}, [10, 0, 10, 100, 0, 0, 0, 0]), ({1}, [6, 0, 6, 50, 0, 0, 0, 0])])
def test_only_the_cpus_that_a_trial_may_use_are_counted(cpus: set[int], want: list[int]) -> None:
    assert sentinel.ticks(STAT, cpus) == want


def test_the_probe_measures_every_core_in_all_kinds_of_work() -> None:
    found = speed.probe()

    cores = len(os.sched_getaffinity(0))
    assert {name: len(rounds) for name, rounds in found.items()} == dict.fromkeys(found, cores)
    assert set(found) == {"arithmetic", "memory", "system_calls"}
    assert all(took > 0 for name in found for rounds in found[name] for took in rounds)
    assert speed.middle_ns({"memory": [[1, 9, 3], [5, 5, 50]]}) == {"memory": 4.0}


def test_a_slow_trial_is_compared_with_the_gaps_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = iter([100, 100, 100, 200])
    monkeypatch.setattr(speed, "probe", lambda: {"arithmetic": [[next(paces)]]})
    watching = sentinel.Sentinel(None, "not asked for")
    watching.gap()

    for _ in range(2):
        watching.document({})
    found = watching.document({"begin": watching.edge(), "end": watching.edge()})

    assert found["usual_ns"] == {"arithmetic": 100}
    assert found["before"]["rounds_ns"] == {"arithmetic": [[100]]}
    assert found["after"]["rounds_ns"] == {"arithmetic": [[200]]}
    assert found["begin"]["used_ns"] is None
    assert found["why_no_group"] == "not asked for"
    assert time.monotonic_ns() > found["end"]["monotonic_ns"] > found["begin"]["monotonic_ns"]
