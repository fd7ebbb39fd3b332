"""No input makes a reader raise anything but the project's own error, hang, or write elsewhere."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import DATA, targets, tried

CASES = int(os.environ.get("CGIDLAB_FUZZ_CASES", "150"))
CORPUS = sorted((DATA / "fuzz").glob("*/*"))


def _target(path: Path) -> str:
    """Return which target a case of the corpus is for."""
    name = path.parent.name
    return name if name in targets() else name.replace("_", " ")


@pytest.mark.parametrize("name", targets())
def test_good_input_is_read(name: str) -> None:
    assert any(tried(name, sample) is not None for sample in targets()[name].samples) or name in {
        "inventory",
        "archive",
    }


@pytest.mark.parametrize("name", targets())
def test_bad_input_gets_our_own_error_or_a_value(name: str) -> None:
    @settings(max_examples=CASES, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def check(random: Random) -> None:
        tried(name, mutate(targets()[name].samples, random))

    check()


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_was_found_once_is_not_found_again(path: Path) -> None:
    tried(_target(path), path.read_bytes())


def test_every_case_of_the_corpus_has_a_target() -> None:
    assert CORPUS
    assert {_target(p) for p in CORPUS} <= set(targets())
