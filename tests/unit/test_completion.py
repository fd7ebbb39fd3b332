"""A shell completes verbs, options and their choices, really asked."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cgidlab import cli
from cgidlab.commands import completion


def completed(*words: str) -> set[str]:
    """Return what bash offers for the last of these words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    line = " ".join(f"'{word}'" for word in ("./runner.py", *words))
    script = completion.script(dict(cli.verbs()), "bash")
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _cgidlab; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    ran = subprocess.run([bash, "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return set(ran.stdout.split())


def test_the_first_word_is_a_verb_or_a_file() -> None:
    assert {"report", "recover"} <= completed("re")
    assert completed("comp") >= {"compare", "completion"}


def test_options_are_those_of_the_verb() -> None:
    assert completed("compare", "--thr") == {"--threshold"}
    assert completed("experiments/smoke.yml", "--bud") == {"--budget"}, "a file alone means run"
    assert "--nagios" not in completed("compare", "--")


def test_what_an_option_takes_is_offered() -> None:
    assert completed("report", "latest", "--format", "") == {"html", "md", "json", "junit"}


def test_zsh_gets_the_same_by_its_own_means() -> None:
    text = completion.script(dict(cli.verbs()), "zsh")

    assert text.startswith("autoload -U +X bashcompinit && bashcompinit\n")
    assert text.endswith("complete -o filenames -F _cgidlab runner.py cgidlab\n")


def test_files_are_offered_behind_a_verb_and_without_one(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo_root)

    assert completed("plan", "experiments/smo") == {"experiments/smoke.yml"}
    assert completed("experiments/smo") == {"experiments/smoke.yml"}
