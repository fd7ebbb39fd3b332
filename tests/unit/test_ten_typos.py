"""A typo in each of the ten likeliest places is answered with the right word, in a second, and touches nothing."""

import re
from pathlib import Path

import pytest

from cgidlab import cli

SMOKE = (Path(__file__).parents[2] / "experiments" / "smoke.yml").read_text()
PLACES = {
    "a verb": (["valdate", "FILE"], "", "", "validate"),
    "a file": (["experiments/smok.yml"], "", "", "smoke.yml"),
    "a key of the file": (["validate", "FILE"], "repetitions:", "repetition:", "`repetitions`"),
    "a factor": (["validate", "FILE"], "listen_backlog: [5", "listen_backlogs: [5", "`listen_backlog`"),
    "a setting": (["validate", "FILE"], "threads_per_child", "thread_per_child", "`threads_per_child`"),
    "a choice": (["validate", "FILE"], "h2load", "h2laod", "`h2load`"),
    "a key of the load": (["validate", "FILE"], "clients:", "client:", "`clients`"),
    "the reference": (["validate", "FILE"], "reference: 1024", "reference: 1042", "`1024`"),
    "--set": (["plan", "FILE", "--set", "window=3"], "", "", "`window_s`"),
    "--only": (["plan", "FILE", "--only", "listen_backlog=1025"], "", "", "`1024`"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_typo_is_answered_with_the_right_word(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, before, after, want = PLACES[place]
    path = tmp_path / "smoke.yml"
    path.write_text(SMOKE.replace(before, after, 1) if before else SMOKE)

    status = cli.main([str(path) if word == "FILE" else word for word in words])

    said = capsys.readouterr().err
    assert status == 2
    assert want in (re.search(r"fix: (.*)", said) or [said])[0], said
