"""Blocks go through one call of Ansible as long as it lives. What plays it here does with orders what the role does."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgidlab import files
from cgidlab.engine import ansible, execute, handing
from cgidlab.engine.arrivals import Arrival
from cgidlab.errors import StoreError
from tests.role_code import module
from tests.unit.test_execute import CATALOGUE, HOST, HTTPD, VARIANT, smoke
from tests.variants import compiled

_VARIANTS = tuple({**VARIANT, **compiled(CATALOGUE, listen_backlog=backlog)} for backlog in (5, 1024))
SERVER = replace(HOST, httpd={"distro": replace(HTTPD, variants=_VARIANTS)})
Played = ansible.Played
Act = Callable[[dict[str, Any], ansible.Callbacks], Played | None]


def at_home(order: Mapping[str, Any], _: object = None) -> Played | None:
    """Have all trials of an order come home, and the block be over; the call goes on."""
    incoming = Path(order["dest"])
    for trial in order["trials"]:
        said = {"number": trial["number"], "host": "h", "state": "ended", "ended": "complete"}
        files.write_json(incoming / f"{trial['number']:03d}.arrival.json", said)
    files.write_json(incoming / "over.json", {})
    return None


class Plays:
    """Stands in for `ansible.play`: takes orders until the last one, or until `act` says how the call ended."""

    def __init__(self, act: Act = at_home) -> None:
        self.begun: list[Path] = []
        self.ended: list[Path] = []
        self.killed: list[Path] = []
        self._act = act

    def __call__(
        self,
        _playbook: Path,
        _inventory: Path,
        variables: Mapping[str, Any],
        directory: Path,
        *,
        timeout_s: float,
        callbacks: ansible.Callbacks,
        environment: Mapping[str, str],
    ) -> Played:
        """Play, as long as somebody may give an order."""
        assert timeout_s > 1e9
        assert environment
        self.begun.append(directory)
        for number in range(1, 100):
            path = Path(variables["cgidlab_orders_dir"]) / f"{number:03d}.order.json"
            while not path.exists():
                if callbacks.cancelled():
                    return self._end(directory, cancelled=True)
                time.sleep(0.01)
            order = self._taken(path)
            if order is None or "file" not in order:
                return self._end(directory)
            played = self._act(order, callbacks)
            if played is not None:
                self.ended.append(directory)
                return played
        raise AssertionError

    def _taken(self, path: Path) -> dict[str, Any] | None:
        order: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        return order

    def _end(self, directory: Path, *, cancelled: bool = False) -> Played:
        self.ended.append(directory)
        self.killed += [directory] if cancelled else []
        return Played(not cancelled, cancelled, False, {}, (), directory)  # noqa: FBT003 -- how it ended


def run(
    calls: handing.BlockCalls, where: Path, cancelled: Callable[[], bool] = lambda: False
) -> tuple[Played, list[int]]:
    seen: list[int] = []

    def arrived(arrival: Arrival) -> None:
        seen.append(arrival.number)

    needs = execute.BlockNeeds(where, SERVER, f"/w/{where.name}")
    return calls.run(needs, smoke().blocks[0], CATALOGUE, arrived, cancelled), seen


@pytest.fixture
def site(tmp_path: Path) -> execute.Site:
    return execute.Site(Path(__file__).parents[2], tmp_path / "inventory.yml")


def test_two_blocks_go_through_one_call_which_ends_after_them(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays = Plays()
    monkeypatch.setattr(ansible, "play", plays)
    numbers = [t.number for t in smoke().blocks[0]]

    with handing.BlockCalls(site) as calls:
        for name in ("b1", "b2"):
            played, seen = run(calls, tmp_path / name)
            assert played.ok
            assert seen == numbers
        assert plays.ended == []

    assert plays.begun == plays.ended == [tmp_path / "b1"]
    assert plays.killed == []
    assert not (tmp_path / "b1" / handing.ORDERS).exists()


def test_a_call_that_ended_by_itself_is_told_and_the_next_block_has_another(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(order: dict[str, Any], _: ansible.Callbacks) -> Played | None:
        if order["dir"] == "/w/b1":
            return Played(False, False, False, {}, (), tmp_path, 4)  # noqa: FBT003 -- how it ended
        return at_home(order)

    plays = Plays(act)
    monkeypatch.setattr(ansible, "play", plays)

    with handing.BlockCalls(site) as calls:
        first, none = run(calls, tmp_path / "b1")
        second, seen = run(calls, tmp_path / "b2")

    assert (first.ok, none) == (False, [])
    assert first.why == "ansible-playbook exited with 4 and named no task"
    assert (second.ok, len(seen)) == (True, len(smoke().blocks[0]))
    assert plays.begun == [tmp_path / "b1", tmp_path / "b2"]


@pytest.mark.parametrize("late", [False, True])
def test_a_block_that_is_not_wanted_any_more_or_takes_too_long_ends_its_call(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    def act(_: dict[str, Any], callbacks: ansible.Callbacks) -> Played:
        while not callbacks.cancelled():
            time.sleep(0.01)
        return Played(False, True, False, {}, (), tmp_path)  # noqa: FBT003 -- how it ended

    monkeypatch.setattr(ansible, "play", Plays(act))
    if late:
        monkeypatch.setattr(type(site.limits), "of_trial_s", lambda *_: -site.limits.block_s)

    with handing.BlockCalls(site) as calls:
        played, _ = run(calls, tmp_path / "b1", lambda: not late)

    assert (played.ok, played.cancelled, played.timed_out) == (False, not late, late)


def test_an_order_that_a_dying_call_does_not_take_goes_to_another_one(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose ansible-playbook was killed between two blocks, which is heard of later."""
    killed = threading.Event()

    class Dies(Plays):
        def _taken(self, path: Path) -> dict[str, Any] | None:
            return super()._taken(path) if not killed.is_set() or len(self.begun) > 1 else None

    plays = Dies()
    monkeypatch.setattr(ansible, "play", plays)
    with handing.BlockCalls(site) as calls:
        assert run(calls, tmp_path / "b1")[0].ok
        killed.set()

        played, seen = run(calls, tmp_path / "b2")

    assert (played.ok, len(seen)) == (True, len(smoke().blocks[0]))
    assert plays.begun == [tmp_path / "b1", tmp_path / "b2"]


def test_what_is_raised_while_a_call_waits_ends_it_at_once(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays = Plays()
    monkeypatch.setattr(ansible, "play", plays)

    def blocks() -> None:
        with handing.BlockCalls(site) as calls:
            run(calls, tmp_path / "b1")
            raise KeyError("it")

    with pytest.raises(KeyError):
        blocks()

    assert plays.ended == plays.killed == [tmp_path / "b1"]


def test_a_disk_without_room_for_the_last_order_does_not_keep_the_call(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays = Plays()
    monkeypatch.setattr(ansible, "play", plays)
    with handing.BlockCalls(site) as calls:
        run(calls, tmp_path / "b1")
        write = files.write_json

        def full(path: Path, value: Mapping[str, Any]) -> None:
            if path.name.endswith(".order.json"):
                raise StoreError("no room")
            write(path, value)

        monkeypatch.setattr(files, "write_json", full)

    assert plays.ended == plays.killed == [tmp_path / "b1"]


def test_what_a_call_could_not_begin_with_is_raised_to_who_gave_the_block(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(*_: object, **__: object) -> Played:
        raise StoreError("no room")

    monkeypatch.setattr(ansible, "play", play)

    with handing.BlockCalls(site) as calls, pytest.raises(StoreError, match="no room"):
        run(calls, tmp_path / "b1")

    assert not (tmp_path / "b1" / handing.ORDERS).exists()


def test_a_block_that_a_call_has_begun_is_not_begun_again_by_another(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(order: dict[str, Any], _: object) -> Played | None:
        return at_home(order) if order["dir"] == "/w/b1" else Played(False, False, False, {}, (), tmp_path, 2)  # noqa: FBT003 -- how it ended

    plays = Plays(act)
    monkeypatch.setattr(ansible, "play", plays)

    with handing.BlockCalls(site) as calls:
        assert run(calls, tmp_path / "b1")[0].ok
        played, _ = run(calls, tmp_path / "b2")

    assert not played.ok
    assert plays.begun == [tmp_path / "b1"]


def test_what_would_have_ended_a_block_does_not_end_the_call_once_that_is_over(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor while its trials are still looked at: Ctrl-C then costs no clean-up of what is clean."""
    plays = Plays()
    monkeypatch.setattr(ansible, "play", plays)
    stopped = threading.Event()

    def looked_at(_: Arrival) -> None:
        while not (tmp_path / "b1" / "incoming" / "over.json").exists():
            time.sleep(0.01)
        stopped.set()
        time.sleep(0.1)  # for some looks at what may end it

    with handing.BlockCalls(site) as calls:
        needs = execute.BlockNeeds(tmp_path / "b1", SERVER, "/w/b1")
        assert calls.run(needs, smoke().blocks[0], CATALOGUE, looked_at, stopped.is_set).ok
        (tmp_path / "b1" / "incoming" / "over.json").unlink()  # whoever tidies up
        time.sleep(0.1)
        assert run(calls, tmp_path / "b2")[0].ok

    assert plays.begun == [tmp_path / "b1"]
    assert plays.killed == []


def test_an_action_knows_whether_somebody_may_still_give_orders(
    tmp_path: Path, site: execute.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "play", Plays())
    is_held = module("trial", "cgidlab_blocks", "action_plugins")._is_held  # noqa: SLF001 -- what it asks
    lock = tmp_path / "b1" / handing.ORDERS / handing.LOCK

    with handing.BlockCalls(site) as calls:
        run(calls, tmp_path / "b1")
        held = is_held(lock)
        abandoned = tmp_path / "lock"
        abandoned.touch()

        assert held
        assert not is_held(abandoned)
    assert not is_held(lock)
