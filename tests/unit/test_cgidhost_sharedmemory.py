"""The shared memory of a module whose httpd was killed is found by its name, and no other is touched."""

from pathlib import Path

import pytest
from cgidhost import own, sharedmemory

RUN = "/run/cgid-0123abcd-7-00112233445566ff"
MADE_BY_APR = "ShM.1aaf40e1H6897ff83"  # apr_shm_create() of libapr 1.7.2 for RUN/fcgid_shm


def test_the_name_is_the_one_that_apr_gives() -> None:
    assert sharedmemory.name_of(f"{RUN}/fcgid_shm") == MADE_BY_APR


def test_only_that_of_the_trial_is_removed_and_twice_does_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharedmemory, "PLACE", str(tmp_path))
    (tmp_path / MADE_BY_APR).write_bytes(b"x")
    (tmp_path / "ShM.1H2").write_bytes(b"another's")

    sharedmemory.discard(RUN)
    sharedmemory.discard(RUN)

    assert [path.name for path in tmp_path.iterdir()] == ["ShM.1H2"]


def test_it_goes_with_the_directory_of_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "run"
    place.mkdir(mode=0o755)
    monkeypatch.setattr(own, "_PLACES", (str(place),))
    monkeypatch.setattr(sharedmemory, "PLACE", str(tmp_path))
    sockets = place / Path(RUN).name
    own.make(str(sockets))
    left = tmp_path / sharedmemory.name_of(f"{sockets}/fcgid_shm")
    left.write_bytes(b"x")

    assert own.remove_sockets(str(sockets), lambda _: True)

    assert not left.exists()
    assert not sockets.exists()


def test_a_directory_that_goes_while_it_is_removed_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed block left may be ending as well."""
    place = tmp_path / "run"
    place.mkdir(mode=0o755)
    monkeypatch.setattr(own, "_PLACES", (str(place),))
    sockets = place / Path(RUN).name
    own.make(str(sockets))
    monkeypatch.setattr(sharedmemory, "discard", lambda path: Path(path).rmdir())

    assert own.remove_sockets(str(sockets), lambda _: True)
    assert not own.remove_sockets(str(sockets), lambda _: True)
