"""Nothing is run from a cache that another user could have put something into: what is wrong is said with its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.role_code import utility

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

lab_trust = utility("lab_trust")
LabError = utility("lab_build").LabError

BUILT = "httpd/0123/prefix/bin/httpd"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache with a finished build, a receipt and the helper."""
    for name in (BUILT, "httpd/0123/build.json", "receipts/ab.json", "helper/cd/cgidhost.pyz"):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path / "cache"


def test_a_cache_of_ones_own_is_taken(cache: Path) -> None:
    (cache / "httpd/0123/prefix/lib").mkdir()
    (cache / "httpd/0123/prefix/lib/libapr.so").symlink_to("../bin/httpd")

    lab_trust.check_cache(str(cache))


def test_a_cache_that_is_not_there_yet_is_taken(tmp_path: Path) -> None:
    lab_trust.check_cache(str(tmp_path / "none" / "cache"))


def _link_out(path: Path) -> None:
    path.unlink()
    path.symlink_to("/bin/true")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", [BUILT, "receipts/ab.json", "helper/cd/cgidhost.pyz"])
@pytest.mark.parametrize(
    ("change", "want"),
    [
        pytest.param(lambda path: path.chmod(0o666), "can be written by others", id="mode"),
        pytest.param(lambda path: path.parent.chmod(0o777), "can be written by others", id="mode of its directory"),
        pytest.param(_link_out, "is a link that leads out of it", id="link"),
        pytest.param(_fifo, "is neither a file nor a directory", id="fifo"),
        pytest.param(
            lambda path: os.chown(path, 1234, 1234),
            "belongs to the user 1234",
            id="owner",
            marks=pytest.mark.needs_root,
        ),
    ],
)
def test_what_is_not_ours_alone_is_named(cache: Path, name: str, change: Callable[[Path], None], want: str) -> None:
    change(cache / name)

    with pytest.raises(LabError, match=want) as caught:
        lab_trust.check_cache(str(cache))

    assert caught.value.where in (str(cache / name), str((cache / name).parent))


@pytest.mark.needs_root
def test_a_build_that_goes_on_or_was_left_half_done_is_passed_over(cache: Path) -> None:
    """It is thrown away before its place is used; but its directory itself has to be ours."""
    (cache / "httpd/4567/work").mkdir(parents=True)
    os.chown(cache / "httpd/4567/work", 65534, 65534)

    lab_trust.check_cache(str(cache))
    os.chown(cache / "httpd/4567", 65534, 65534)

    with pytest.raises(LabError, match="belongs to"):
        lab_trust.check_cache(str(cache))


def test_a_directory_above_in_which_others_can_replace_the_cache_is_named(cache: Path) -> None:
    cache.parent.chmod(0o777)

    with pytest.raises(LabError, match="can be written by others") as caught:
        lab_trust.check_cache(str(cache))

    assert caught.value.where == str(cache.parent)
    cache.parent.chmod(0o1777)
    lab_trust.check_cache(str(cache))


@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("target", "whose", "want"),
    [
        pytest.param("..", 1234, "links/lab is a link of the user 1234", id="another's link"),
        pytest.param("../theirs/lab", 0, "theirs belongs to the user 1234", id="through another's directory"),
        pytest.param("../open/lab", 0, "open can be written by others", id="through a directory of all"),
        pytest.param("../links/next", 0, "links/next is a link of the user 1234", id="another's link behind it"),
    ],
)
def test_a_link_above_that_others_can_lead_elsewhere_is_named(cache: Path, target: str, whose: int, want: str) -> None:
    """It leads to a directory of root's, and after the look to one with the same files of somebody else's."""
    above = cache.parent
    for name, mode in (("links", 0o1777), ("theirs", 0o755), ("open", 0o777)):
        (above / name).mkdir()
        (above / name).chmod(mode)
        (above / name / ("next" if name == "links" else "lab")).symlink_to("..")
    os.chown(above / "theirs", 1234, 1234)
    os.chown(above / "links/next", 1234, 1234, follow_symlinks=False)
    (above / "links/lab").symlink_to(target)
    os.chown(above / "links/lab", whose, whose, follow_symlinks=False)
    assert (above / "links/lab/cache").samefile(cache)

    with pytest.raises(LabError, match=want):
        lab_trust.check_cache(str(above / "links/lab/cache"))


def test_links_above_of_ones_own_are_followed(cache: Path) -> None:
    (cache.parent / "a").symlink_to(cache.parent)
    (cache.parent / "b").symlink_to("./a/../" + cache.parent.name)

    lab_trust.check_cache(str(cache.parent / "b" / "cache"))


def test_links_above_that_lead_to_each_other_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(LabError, match="more than 40 links"):
        lab_trust.check_cache(str(tmp_path / "a" / "cache"))
