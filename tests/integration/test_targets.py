"""What a target names, as Ansible itself reads inventories."""

from pathlib import Path

import pytest

from cgidlab.engine import targets
from cgidlab.errors import SpecError

ROOT = Path(__file__).parents[2]


def _inventory(tmp_path: Path, text: str, name: str = "hosts.yml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_local_is_this_machine_in_both_groups() -> None:
    """The shortcut for the project's own inventory says what Ansible would."""
    local = targets.site("local", ROOT)
    read = targets.site(str(local.inventory), ROOT)

    assert (local.servers, local.generators) == (read.servers, read.generators) == (("local",), ("local",))


def test_the_example_inventory_is_one() -> None:
    site = targets.site(str(ROOT / targets.EXAMPLE), ROOT)

    assert (site.servers, site.generators) == (("web1", "web2"), ("load1", "load2"))


def test_ini_inventories_and_groups_of_groups_are_read_like_any_other(tmp_path: Path) -> None:
    text = "[rack1]\na\nb\n[rack2]\nc\n[servers:children]\nrack1\nrack2\n[generators]\nc\n"

    site = targets.site(_inventory(tmp_path, text, "hosts.ini"), ROOT)

    assert (site.servers, site.generators) == (("a", "b", "c"), ("c",))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("[servers]\na\n", "no host in the group generators (it has servers)"),
        ("[web]\na\n", "no host in the groups servers and generators (it has web)"),
        ("[servers]\n[generators]\n", "no host in the groups servers and generators (it has no group with a host)"),
        ("[servers\na\n", "cannot read the inventory"),
        ("[servers]\n..\n[generators]\na\n", "'..' cannot be used"),
    ],
    ids=["one group missing", "both missing", "both empty", "no inventory", "no name for a file"],
)
def test_an_inventory_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, text: str, want: str) -> None:
    path = _inventory(tmp_path, text, "hosts.ini")

    with pytest.raises(SpecError) as refused:
        targets.site(path, ROOT)

    assert want in refused.value.what
    assert refused.value.where == path
    assert refused.value.fix


def test_a_target_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no inventory"):
        targets.site(str(tmp_path / "hosts.yml"), ROOT)
