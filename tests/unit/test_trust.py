"""Nothing is run from a cache that another user could have put something into: what is wrong is said with its name."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = Path(__file__).parents[2] / "roles"
importlib.import_module("ansible.module_utils").__path__ += [str(ROLES / "host" / "module_utils")]
lab_trust = importlib.import_module("ansible.module_utils.lab_trust")
LabError = importlib.import_module("ansible.module_utils.lab_build").LabError

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
