"""A script's slower build takes longer by the share that was ordered, and is in its place for a slot and one trial."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cgidhost import libc, waiting
from cgidhost.ending import Unavailable
from cgidhost.interventions import slowed_scripts
from cgidhost.interventions.base import Subject
from cgidhost.interventions.slowed_scripts import SlowedScripts

SOURCES = Path(__file__).parents[2] / "roles" / "scripts" / "files"
root = pytest.mark.needs_root


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile two scripts and their slower builds, as the role does but for where their order lies."""
    place = tmp_path_factory.mktemp("trial") / "scripts"
    (place / "slowed").mkdir(parents=True)
    slowing = [f'-DSLOWED_ORDER="{place.parent}/order"', str(SOURCES / "slowed.c")]
    for name in ("burn", "sleep"):
        compiler = ["gcc", "-O2", str(SOURCES / f"{name}.c"), "-o"]
        subprocess.run([*compiler, place / name], check=True)
        subprocess.run([*compiler, place / "slowed" / name, *slowing], check=True)
    return place


@pytest.fixture
def slowed(scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowedScripts:
    monkeypatch.setattr(slowed_scripts, "ORDER", str(scripts.parent / "order"))
    monkeypatch.setattr(slowed_scripts, "ORIGINALS", str(tmp_path / "originals"))
    (scripts.parent / "order").unlink(missing_ok=True)
    return SlowedScripts(subject(scripts))


def subject(place: Path | None, **about: Any) -> Subject:  # noqa: ANN401 -- what a server has
    """Return a server that starts the scripts of a directory."""
    found = {
        "system": SimpleNamespace(why_no_scripts=""),
        "asks_for_scripts": True,
        "scripts_dir": str(place),
        "slowed_dir": "" if place is None else str(place / "slowed"),
        "own_mounts": True,
        **about,
    }
    own_mounts = found.pop("own_mounts")
    return Subject(SimpleNamespace(**found), None, 10, 2, own_mounts=own_mounts)  # type: ignore[arg-type]


def took(program: Path, query: str) -> tuple[float, float, bytes]:
    """Run a script and return its CPU time and how long it took, in ms, and its answer."""
    begin_s = time.monotonic()
    with subprocess.Popen([program], env={"QUERY_STRING": query}, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        answer = running.stdout.read()
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0
    return 1e3 * (used.ru_utime + used.ru_stime), 1e3 * (time.monotonic() - begin_s), answer


def ordered(slowed: SlowedScripts, share: float) -> None:
    slowed._fd = os.open(slowed_scripts.ORDER, os.O_RDWR | os.O_CREAT, 0o600)  # noqa: SLF001 -- as `probe` does
    os.ftruncate(slowed._fd, 4096)  # noqa: SLF001
    slowed._say(share)  # noqa: SLF001


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_script_that_computes_computes_more_by_the_share(scripts: Path, slowed: SlowedScripts, share: float) -> None:
    ordered(slowed, share)

    cpu_ms, _, answer = took(scripts / "slowed" / "burn", "20")
    told = slowed._told()  # noqa: SLF001 -- what it said

    assert answer == took(scripts / "burn", "20")[2]
    assert told.more_cpu / (told.own_cpu + told.more_cpu) == pytest.approx(share, abs=0.001)
    assert told.own_cpu == pytest.approx(20e6, rel=0.1)
    assert cpu_ms == pytest.approx((told.own_cpu + told.more_cpu) / 1e6, rel=0.1)


def test_a_script_that_waits_waits_longer_and_computes_no_more_than_its_share(
    scripts: Path, slowed: SlowedScripts
) -> None:
    ordered(slowed, 0.2)

    cpu_ms, wall_ms, answer = took(scripts / "slowed" / "sleep", "80")
    told = slowed._told()  # noqa: SLF001 -- what it said

    assert answer == took(scripts / "sleep", "80")[2]
    assert 60e6 < told.own_wait < 90e6  # what it waited for a CPU before it began is taken off
    assert told.more_wait == pytest.approx(told.own_wait / 4, rel=0.001)
    assert wall_ms >= 80 + told.more_wait / 1e6
    assert cpu_ms < 10


def test_without_an_order_a_slower_build_is_as_fast_as_the_script(scripts: Path, slowed: SlowedScripts) -> None:
    assert took(scripts / "slowed" / "burn", "20")[0] < 23
    ordered(slowed, 0.0)
    assert took(scripts / "slowed" / "burn", "20")[0] < 23
    assert slowed._told().scripts == 0  # noqa: SLF001 -- what it said


@pytest.mark.parametrize(
    ("about", "want"),
    [
        ({"system": SimpleNamespace(why_no_scripts="php-fpm starts no program")}, "php-fpm starts no program"),
        ({"asks_for_scripts": False}, "no script is asked for"),
        ({"own_mounts": False}, "slow for others too"),
        ({"slowed_dir": ""}, "of your own has no slower build"),
        ({"scripts_dir": "/nowhere"}, "of your own has no slower build"),
    ],
)
def test_what_cannot_be_slowed_says_why_and_no_file_is_made(
    scripts: Path, monkeypatch: pytest.MonkeyPatch, about: dict[str, Any], want: str
) -> None:
    monkeypatch.setattr(slowed_scripts, "ORDER", str(scripts.parent / "order"))
    (scripts.parent / "order").unlink(missing_ok=True)

    with pytest.raises(Unavailable, match=want):
        SlowedScripts(subject(scripts, **about)).probe()

    assert not (scripts.parent / "order").exists()


def alone(work: Callable[[], None]) -> None:
    """Do something in a process with mounts of its own, as a trial has; fail where that fails."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            libc.unshare(libc.CLONE_NEWNS)
            libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@root
def test_for_a_slot_a_scripts_name_is_that_of_its_slower_build_and_for_this_trial_alone(
    scripts: Path, slowed: SlowedScripts
) -> None:
    plain, slower = (scripts / "burn").stat().st_ino, (scripts / "slowed" / "burn").stat().st_ino
    read, write = os.pipe()

    def trial() -> None:
        slowed.probe()
        assert (scripts / "burn").stat().st_ino == plain
        user = os.fork()
        if user == 0:
            time.sleep(0.1)
            same = (scripts / "burn").stat().st_ino == slower
            os.write(write, b"x")
            took(scripts / "burn", "10")
            os._exit(0 if same else 1)
        dose = slowed.perform(0.2, waiting.now_ns() + 1_000_000_000)
        assert os.waitpid(user, 0)[1] == 0
        assert (scripts / "burn").stat().st_ino == plain
        assert dose == pytest.approx(0.2, abs=0.001)
        assert slowed.perform(0.2, waiting.now_ns()) == 0.0, "nobody started a script"

    def other() -> None:
        os.read(read, 1)
        assert (scripts / "burn").stat().st_ino == plain

    watcher = os.fork()
    if watcher == 0:
        code = 1
        try:
            other()
            code = 0
        finally:
            os._exit(code)
    alone(trial)
    assert os.waitstatus_to_exitcode(os.waitpid(watcher, 0)[1]) == 0


@root
def test_one_that_is_told_to_end_leaves_the_script_in_its_place(scripts: Path, slowed: SlowedScripts) -> None:
    plain = (scripts / "sleep").stat().st_ino

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    def trial() -> None:
        slowed.probe()
        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            slowed.perform(0.2, waiting.now_ns() + 20_000_000_000)
        assert (scripts / "sleep").stat().st_ino == plain

    alone(trial)


@root
@pytest.mark.parametrize("told", [(-1, -2, -3, -4, -5), (9, -(1 << 63), 0, (1 << 63) - 1, 1)])
def test_what_somebody_else_tells_is_no_dose_that_cannot_be(
    scripts: Path, slowed: SlowedScripts, told: tuple[int, ...]
) -> None:
    """Whoever is the server may write there."""

    def trial() -> None:
        slowed.probe()
        lying = os.fork()
        if lying == 0:
            time.sleep(0.2)
            os.pwrite(slowed._fd, slowed_scripts._TOLD.pack(*told), slowed_scripts._ORDER.size)  # noqa: SLF001
            os._exit(0)
        assert 0.0 <= slowed.perform(0.2, waiting.now_ns() + 500_000_000) <= 1.0
        os.waitpid(lying, 0)

    assert scripts.exists()
    alone(trial)
