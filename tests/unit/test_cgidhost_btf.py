"""A kernel's function is found in its description of its types, whatever kinds stand before it."""

import struct
from pathlib import Path

import pytest
from cgidhost import btf
from cgidhost.bpfqueue import MEMBERS

INT, POINTER, ARRAY, STRUCT, ENUM, FUNCTION, PROTOTYPE, DATASEC, TAG, ENUM64 = 1, 2, 3, 4, 6, 12, 13, 15, 17, 19


def described(*types: tuple[str, int, int, int, int]) -> bytes:
    """Return BTF of types: name, kind, number of members, size or type, and how many words follow."""
    names, body = b"\0", b""
    for name, kind, members, size, words in types:
        text = name.encode() + b"\0"
        if b"\0" + text not in names:  # each name once, as the kernel's are
            names += text
        at = names.index(b"\0" + text) + 1 if name else 0
        body += struct.pack("=III", at, kind << 24 | members, size) + b"\xff\xff\xff\xff" * words
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names)) + body + names


def test_the_function_is_found_behind_records_of_every_length() -> None:
    text = described(
        ("int", INT, 0, 4, 1),
        ("", POINTER, 0, 1, 0),
        ("", ARRAY, 0, 0, 3),
        ("unix_stream_connect", STRUCT, 2, 16, 6),  # no function, for all its name
        ("kinds", ENUM, 3, 4, 6),
        ("", PROTOTYPE, 4, 1, 8),
        (".data", DATASEC, 1, 8, 3),
        ("tag", TAG, 0, 1, 1),
        ("wide", ENUM64, 1, 8, 3),
        ("unix_stream_connect2", FUNCTION, 0, 6, 0),
        ("unix_stream_connect", FUNCTION, 0, 6, 0),
    )

    assert btf.find_function(text, "unix_stream_connect") == btf.Function(number=11, arguments=4)
    assert btf.find_function(text, "unix_stream") is None


@pytest.mark.parametrize("text", [b"", b"\0" * 64])
def test_what_is_no_btf_is_an_error_and_not_a_function(text: bytes) -> None:
    with pytest.raises(ValueError, match="BTF"):
        btf.find_function(text, "x")


def test_this_kernels_own_description_has_connects_function() -> None:
    path = Path(btf.KERNEL)
    if not path.exists():
        pytest.skip("this kernel describes nothing")

    found = btf.find_function(path.read_bytes(), "unix_stream_connect")

    assert found is not None
    assert found.arguments == 4


def structure(name: str, *members: tuple[int, int]) -> bytes:
    words = b"".join(struct.pack("=III", name_at, 0, bits) for name_at, bits in members)
    return struct.pack("=III", 1, STRUCT << 24 | len(members), 8) + words if name else words


def test_a_member_is_found_by_its_structure_and_one_within_a_byte_is_not() -> None:
    names = b"\0outer\0first\0second\0bit\0"
    at = {name: names.index(b"\0" + name.encode() + b"\0") + 1 for name in ("outer", "first", "second", "bit")}
    body = structure("outer", (at["first"], 0), (at["second"], 64), (at["bit"], 67))
    text = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names)) + body + names

    assert btf.find_members(text, [("outer", "second"), ("outer", "first")]) == [8, 0]
    assert btf.find_members(text, [("outer", "bit")]) is None
    assert btf.find_members(text, [("first", "outer")]) is None


def test_this_kernels_own_description_leads_to_the_socket_of_a_call() -> None:
    path = Path(btf.KERNEL)
    if not path.exists():
        pytest.skip("this kernel describes nothing")

    found = btf.find_members(path.read_bytes(), MEMBERS)

    assert found is not None
    assert len(set(found)) > 3
