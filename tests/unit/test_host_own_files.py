"""What a host says of the user's own files: whether they are the ordered ones, and something runs them there."""

import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from tests import role_code

LabError = role_code.utility("lab_build").LabError


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return role_code.module("host", "host_own_files")


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b"#!/usr/bin/perl -w", "/usr/bin/perl"),
        (b"#! /bin/sh", "/bin/sh"),
        (b"#!/usr/bin/env perl", "perl"),
        (b"#!/usr/bin/env -S LC_ALL=C perl -w", "perl"),
        (b"#!/usr/bin/env", "/usr/bin/env"),
        (b"\x7fELF\x02\x01", ""),
    ],
)
def test_the_interpreter_is_what_the_kernel_or_env_would_start(module: ModuleType, line: bytes, want: str) -> None:
    assert module.interpreter_of(line) == want


def test_an_interpreter_that_is_not_there_is_an_error_with_what_to_do(module: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "mine.cgi"
    script.write_bytes(b"#!/usr/bin/perl17\n")
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()

    with pytest.raises(LabError, match=r"the interpreter of path:mine.cgi is not on this host") as refused:
        module.looked_at("path:mine.cgi", str(script), sha256, True)  # noqa: FBT003 -- as the module is called

    assert "install it there" in refused.value.fix
    assert module.looked_at("list", str(script), sha256, False)["sha256"] == sha256  # noqa: FBT003 -- same


def test_another_content_than_the_plans_is_an_error(module: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "mine.cgi"
    script.write_bytes(b"#!/bin/sh\n")

    with pytest.raises(LabError, match="is not what the experiment names"):
        module.looked_at("path:mine.cgi", str(script), "0" * 64, True)  # noqa: FBT003 -- as the module is called
