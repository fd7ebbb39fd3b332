"""A secret in an experiment is refused before it is written down anywhere, in words that do not repeat it."""

from pathlib import Path

import pytest

from cgidlab.errors import SpecError
from tests.unit.run_directories import EXPERIMENT, planned


def with_source(source: str) -> str:
    return EXPERIMENT.replace("settings: {", f"settings: {{httpd: {source!r}, ")


@pytest.mark.parametrize(
    "source",
    [
        "git:https://user:S3CRET@example.org/httpd.git#trunk",
        "git:https://S3CRET@example.org/httpd.git",
        "git:http://S3CRET:x-oauth-basic@example.org/httpd.git",
        "git:ssh://git:S3CRET@example.org/httpd.git",
        "https://user:S3CRET@example.org/httpd.git",
    ],
    ids=["password", "token as user", "token and word", "SSH password", "not even a source"],
)
def test_a_source_with_credentials_is_refused_without_saying_them(tmp_path: Path, source: str) -> None:
    with pytest.raises(SpecError) as refused:
        planned(tmp_path, with_source(source))

    assert "S3CRET" not in f"{refused.value.what} {refused.value.where} {refused.value.fix}"
    assert "tell git on the host" in refused.value.fix


@pytest.mark.parametrize(
    "source",
    [
        "git:https://example.org/httpd.git#2.4.x",
        "git:ssh://git@example.org/httpd.git",
        "git:git@example.org:httpd.git#v1",
        "git:/srv/a@b:c/httpd",
        "git:https://example.org/a@b/httpd#x",
    ],
    ids=["HTTPS", "SSH", "SSH in short", "path", "at sign in a path"],
)
def test_a_source_without_credentials_is_taken(tmp_path: Path, source: str) -> None:
    assert planned(tmp_path, with_source(source)).cells[0].settings["httpd"] == source
