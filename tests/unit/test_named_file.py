"""A file that somebody names is a plain one, or an error: nothing is waited for, and nothing without an end is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cgidlab import named_file
from cgidlab.design import strict_yaml
from cgidlab.errors import SpecError
from cgidlab.parsers import inventory

READERS: dict[str, Callable[[Path], object]] = {
    "experiment": strict_yaml.read,
    "inventory": lambda path: inventory.check(path, named_by_user=True),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_what_has_no_end_or_no_writer_is_refused_at_once(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / "named.yml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    with pytest.raises(SpecError, match="this is no plain file"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_with_more_than_any_has_is_refused_unread(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "named.yml"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(SpecError, match="it has more than"):
        READERS[reader](path)


def test_a_plain_file_is_read_behind_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("there")

    assert named_file.content(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        named_file.content(tmp_path / "link", 4)
