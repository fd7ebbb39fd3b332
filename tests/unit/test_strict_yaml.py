"""What the reader of experiment files takes and what it refuses."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgidlab.design import strict_yaml
from cgidlab.errors import SpecError


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a: 1", 1),
        ("a: -3", -3),
        ("a: 1.5", 1.5),
        ("a: true", True),
        ("a: warn cgid:debug", "warn cgid:debug"),
        ("a: '0027'", "0027"),
        ('a: "on"', "on"),
        ("a: 5%", "5%"),
        ("a: [1, b]", [1, "b"]),
    ],
)
def test_a_value_is_taken_as_it_is_written(text: str, want: object) -> None:
    assert strict_yaml.parse(text.encode(), "f.yml").value["a"] == want


@pytest.mark.parametrize(
    "text",
    [
        "a: on",
        "a: Yes",
        "a: True",
        "a: 1.10",
        "a: 0027",
        "a: 1_000",
        "a: 0x1F",
        "a: 1:30",
        "a: 2026-01-02",
        "a: ~",
        "a:",
    ],
)
def test_a_value_that_yaml_would_guess_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        strict_yaml.parse(f"# first line\n{text}".encode(), "f.yml")

    assert caught.value.where == "f.yml, line 2, a"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a: 1\na: 2", "twice"),
        ("a: &x 1\nb: *x", "anchors"),
        ("- 1", "mapping"),
        ("a: [", "not YAML"),
        ("a: !!python/object/apply:os.system ['id']", "a"),
    ],
)
def test_what_is_no_plain_mapping_is_refused(text: str, want: str) -> None:
    if want == "a":  # a tag on a sequence changes nothing: it stays a list of text
        assert strict_yaml.parse(text.encode(), "f.yml").value == {"a": ["id"]}
        return
    with pytest.raises(SpecError, match=want):
        strict_yaml.parse(text.encode(), "f.yml")


def test_a_billion_laughs_is_refused_at_once() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
    )
    began = time.monotonic()

    with pytest.raises(SpecError, match="anchors"):
        strict_yaml.parse(bomb.encode(), "f.yml")

    assert time.monotonic() - began < 1


@pytest.mark.parametrize("text", ["a: " + "[" * 5000, "a: [" + "1," * 100_000 + "]", "a: " + "x" * (2 << 20)])
def test_a_file_too_deep_or_too_large_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        strict_yaml.parse(text.encode(), "f.yml")


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), st.text("abc:[]{}-&*!|>'\"#%@ \n\t,?1.0", max_size=200).map(str.encode)))
def test_any_bytes_give_a_mapping_or_our_own_error(raw: bytes) -> None:
    try:
        document = strict_yaml.parse(raw, "f.yml")
    except SpecError:
        return
    assert isinstance(document.value, dict)
