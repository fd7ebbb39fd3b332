"""What a provisioned host may be believed to still have, without looking at everything again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.role_code import utility

if TYPE_CHECKING:
    from pathlib import Path

lab_receipt = utility("lab_receipt")
KEY = "0" * 64


class Host:
    """A cache with a program, a directory of modules and a package database."""

    def __init__(self, place: Path) -> None:
        self.cache = place / "cache"
        self.program, self.modules, self.database = place / "h2load", place / "modules", place / "status"
        self.modules.mkdir()
        for path in (self.program, self.modules / "mod_cgid.so", self.database):
            path.write_text("as it was")
        self.content = {
            "tools": {"h2load": {"path": str(self.program), "version": "1.52"}},
            "httpd": {"distro": {"modules_dir": str(self.modules), "configure": ["--with-mpm=event"]}},
        }

    @property
    def databases(self) -> tuple[str, ...]:
        """Return what stands for the package databases."""
        return (str(self.database), str(self.database) + ".not there")

    def keep(self) -> bool:
        """Write the receipt; say whether that changed anything."""
        return bool(lab_receipt.keep(str(self.cache), KEY, self.content, self.databases))

    def held(self, key: str = KEY) -> object:
        """Return what the receipt says."""
        return lab_receipt.held(str(self.cache), key, self.databases)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_receipt_holds_while_nothing_changed_and_writing_it_again_changes_nothing(host: Host) -> None:
    assert host.held() is None
    assert host.keep() is True
    assert host.held() == host.content
    assert host.keep() is False


@pytest.mark.parametrize(
    "change", ["rewritten", "gone", "newer module", "module added", "package installed", "sources refreshed"]
)
def test_a_receipt_is_void_once_what_it_rests_on_has_changed(host: Host, change: str) -> None:
    host.keep()
    if change == "rewritten":  # same size, and a time that says nothing
        times = (host.program.stat().st_atime_ns, host.program.stat().st_mtime_ns)
        host.program.write_text("as it is!")
        os.utime(host.program, ns=times)
    elif change == "gone":
        host.program.unlink()
    elif change == "newer module":
        os.utime(host.modules / "mod_cgid.so")
    elif change == "module added":
        (host.modules / "mod_status.so").write_text("")
    elif change == "sources refreshed":
        (host.cache / "sources" / "distro").mkdir(parents=True)
    else:
        host.database.write_text("as it was, and one more")

    assert host.held() is None
    assert host.keep() is True
    assert host.held() == host.content


def test_asking_the_database_of_rpm_voids_no_receipt(tmp_path: Path) -> None:
    """`rpm -q` of root writes to the index that SQLite keeps in shared memory and sets the journal's owner."""
    database = tmp_path / "rpm"
    database.mkdir()
    tables, index, journal = (database / f"rpmdb.sqlite{end}" for end in ("", "-shm", "-wal"))
    for path in (tables, index, journal):
        path.write_bytes(b"before")
    cache, content = str(tmp_path / "cache"), {"uid": 0}

    def held() -> bool:
        return bool(lab_receipt.held(cache, KEY, (str(database),)))

    lab_receipt.keep(cache, KEY, content, (str(database),))
    index.write_bytes(b"after a look")
    os.chown(journal, os.getuid(), os.getgid())
    assert held()
    journal.write_bytes(b"one more package")
    assert not held()
    lab_receipt.keep(cache, KEY, content, (str(database),))
    assert held()
    tables.write_bytes(b"one more")
    assert not held()


def test_a_receipt_is_of_one_key(host: Host) -> None:
    host.keep()

    assert host.held("1" * 64) is None


@pytest.mark.parametrize("key", ["", "../" + "0" * 61, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_key_names_no_file(host: Host, key: str) -> None:
    with pytest.raises(lab_receipt.LabError, match="no key"):
        host.held(key)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema_version": 2}', b"[]", b'{"schema_version": 1}'])
def test_a_damaged_receipt_is_none(host: Host, damage: bytes) -> None:
    host.keep()
    (host.cache / "receipts" / f"{KEY}.json").write_bytes(damage)

    assert host.held() is None


def test_only_the_newest_receipts_are_kept(host: Host) -> None:
    for n in range(20):
        lab_receipt.keep(str(host.cache), f"{n:064x}", host.content, host.databases)
        os.utime(host.cache / "receipts" / f"{n:064x}.json", (n, n))

    assert {int(p.stem, 16) for p in (host.cache / "receipts").iterdir()} == set(range(4, 20))
