"""A docstring that says "the only module that ..." is true: what it alone does stands in no other file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [p for folder in ("cgidlab", "roles") for p in ROOT.glob(f"{folder}/**/*.py")]
# What a module says that it alone does, and what a file must hold to do it
ALONE = {
    "cgidlab/parsers/error_log/streams.py": r"utf-16",
    "cgidlab/engine/provisioning.py": r"\bgetpass\.getpass\b",
    "cgidlab/engine/ansible.py": r"\bimport ansible_runner\b|\bansible_runner\.",
    "cgidlab/engine/unreachable.py": r"Could not resolve hostname",
    "cgidlab/engine/vagrant.py": r"\"/usr/bin/env\", \"vagrant\"",
    "cgidlab/analysis/change_points.py": r"\bChangePoint\(",
    "cgidlab/analysis/limit_searches.py": r"(?-i:\bProbe\()",
    "cgidlab/report/script.py": r"\bvl_convert\b",
    "roles/cgid/library/cgid_variants.py": r"\[\"patch\", ",
    "roles/build/library/httpd_build.py": r"run_step\(\"configure\", \[\"\./configure\"",
    "roles/trial/files/cgidhost/observe/exporter.py": r"(import|from) prometheus_client\b",
}


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_each_that_says_so_is_looked_at() -> None:
    said = {_named(p) for p in SOURCES if re.search(r"[Tt]he only module", p.read_text())}

    assert said == set(ALONE)


@pytest.mark.parametrize("name", ALONE)
def test_it_is_the_only_one(name: str) -> None:
    assert {_named(p) for p in SOURCES if re.search(ALONE[name], p.read_text(), re.IGNORECASE)} == {name}
