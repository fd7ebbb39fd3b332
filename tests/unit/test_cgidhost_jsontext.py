"""What a host tells is JSON that every reader takes, whatever its users call their files."""

import json
import os

import pytest
from cgidhost import jsontext


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("/run/a.sock", "/run/a.sock"),
        (os.fsdecode(b"/run/\xff\x80.sock"), r"/run/\xff\x80.sock"),
        ("\N{SKULL}\N{PILE OF POO}", "\N{SKULL}\N{PILE OF POO}"),
        ("\N{SKULL}" + os.fsdecode(b"\x80"), "\N{SKULL}" + r"\x80"),
        (r"\udcff", r"\udcff"),
        ("\\" + os.fsdecode(b"\xff"), r"\\xff"),
        ("\ud800", "\ufffd"),
        ("\udc00x", "\ufffdx"),
        ('a"\n\x1b', 'a"\n\x1b'),
    ],
)
def test_bytes_that_are_no_text_are_told_and_all_else_is_as_it_was(told: str, read: str) -> None:
    text = jsontext.dumps({told: [told]})

    assert text.isascii()
    assert json.loads(text) == {read: [read]}
    assert json.dumps(json.loads(text)).encode("utf-8")
