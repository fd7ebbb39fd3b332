"""The user's own programs beside a trial, really started: what they are told, how they end, and that nothing stays."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cgidhost import blockfile, hooks
from cgidhost.ending import TrialEnd
from cgidhost.hooks import TrialHooks
from cgidhost.waiting import Patience

from tests import waiting

TOLD = hooks.told({"window_s": 1.0, "clients": 50}, 10, None, [10, 11, 12])


class Beside:
    """The hooks of a trial, and what they told."""

    def __init__(self, place: Path, wanted: dict[str, list[str]]) -> None:
        self.said: dict[str, dict[str, Any]] = {}
        self.place = place / "hooks"
        self.read, self.write = os.pipe()
        self.patience = Patience(self.read)
        commands = {event: tuple(words) for event, words in wanted.items()}
        self.hooks = TrialHooks(commands, str(place), lambda name, said: self.said.update({name: said}))

    def whole(self) -> None:
        """Go through a trial whose window lasts a tenth of a second."""
        self.hooks.before(TOLD, self.patience)
        self.hooks.window_begins()
        time.sleep(0.1)
        self.hooks.window_ends()
        self.hooks.finish(self.patience)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have limits of a moment."""
    monkeypatch.setattr(hooks, "LIMIT_S", 0.3)
    monkeypatch.setattr(hooks, "END_S", 0.3)


def shell(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_each_runs_at_its_time_with_what_it_is_told_and_leaves_its_files(tmp_path: Path) -> None:
    tell = "echo $CGIDLAB_PIDS $CGIDLAB_HTTPD_PID -$CGIDLAB_DAEMON_PID- $CGIDLAB_WINDOW_S $CGIDLAB_SET_CLIENTS"
    wanted = {
        "before_trial": shell(f'{tell} > told; test "$CGIDLAB_TRIAL_DIR" = {tmp_path}; pwd; env > env'),
        "during_window": shell(
            "trap 'echo end >> order; exit 0' TERM; echo begin > order; while :; do sleep 0.01; done"
        ),
        "after_trial": ["echo", "{pids}", "{unknown}", "a {pids}"],
    }
    beside = Beside(tmp_path, wanted)

    beside.whole()

    assert (beside.place / "told").read_text() == "10,11,12 10 -- 1.0 50\n"
    assert (beside.place / "order").read_text() == "begin\nend\n"
    assert (beside.place / "after_trial.output").read_text() == "10,11,12 {unknown} a {pids}\n"
    assert (beside.place / "before_trial.output").read_text() == f"{beside.place}\n"
    assert {name: (one["exit_code"], one["reason"]) for name, one in beside.said.items()} == dict.fromkeys(
        hooks.EVENTS, (0, "")
    )
    names = {line.partition("=")[0] for line in (beside.place / "env").read_text().splitlines()}
    assert not names & (os.environ.keys() - {"PATH", "PWD", "TZ", "LC_ALL", "SHLVL", "_", "OLDPWD"})


@pytest.mark.parametrize(
    ("event", "words", "code", "why"),
    [
        ("before_trial", ["no-such-program-7c1f"], None, "it cannot be started"),
        (
            "before_trial",
            shell("echo first; echo 'went \x1b[31mwrong' >&2; exit 3"),
            3,
            "it ended with 3: went ?[31mwrong",
        ),
        ("before_trial", shell("sleep 60"), -9, "it was killed after 0.3 s"),
        ("during_window", shell("trap '' TERM; while :; do sleep 0.01; done"), -9, "it was killed after 0.3 s"),
        ("during_window", shell("exit 4"), 4, "it ended with 4"),
        ("during_window", ["sleep", "60"], -15, ""),
        ("after_trial", shell("exit 5"), 5, "it ended with 5"),
        ("after_trial", shell("kill -9 $$"), -9, "it ended with -9"),
    ],
)
@pytest.mark.usefixtures("short")
def test_whatever_one_does_is_told_and_no_more(
    tmp_path: Path, event: str, words: list[str], code: int | None, why: str
) -> None:
    beside = Beside(tmp_path, {event: words})

    beside.whole()

    said = beside.said[event]
    assert said["exit_code"] == code
    assert said["reason"].startswith(why)
    assert len(said["reason"]) <= 500


def test_what_a_hook_started_in_the_background_ends_with_it(tmp_path: Path) -> None:
    beside = Beside(tmp_path, {"before_trial": shell("sleep 600 & echo $! > pid")})

    beside.whole()

    pid = int((beside.place / "pid").read_text())
    assert waiting.ends(pid)


def test_the_cpu_of_what_it_waited_for_is_its_own(tmp_path: Path) -> None:
    burn = f"{sys.executable} -c 'import time\nwhile time.process_time() < 0.2: pass'"
    beside = Beside(tmp_path, {"before_trial": shell(burn)})

    beside.whole()

    assert 0.15e9 < beside.said["before_trial"]["cpu_ns"] < 2e9


def test_more_than_a_trial_may_bring_home_is_removed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_MOST_BYTES", 1000)
    beside = Beside(tmp_path, {"after_trial": shell("head -c 5000 /dev/zero > big")})

    beside.whole()

    assert not beside.place.exists()
    assert "were left, and removed" in beside.said["kept"]["reason"]


def test_a_file_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_MOST_FILE_BYTES", 4096)
    beside = Beside(tmp_path, {"after_trial": ["dd", "if=/dev/zero", "of=big", "bs=1000", "count=100"]})

    beside.whole()

    assert (beside.place / "big").stat().st_size == 4096
    assert beside.said["after_trial"]["reason"]


def test_an_order_to_stop_ends_a_hook_at_once(tmp_path: Path) -> None:
    beside = Beside(tmp_path, {"before_trial": ["sleep", "60"]})
    os.write(beside.write, b"x")
    begin = time.monotonic()

    with pytest.raises(TrialEnd):
        beside.hooks.before(TOLD, beside.patience)

    assert time.monotonic() - begin < 5


def test_without_hooks_nothing_is_made(tmp_path: Path) -> None:
    Beside(tmp_path, {}).whole()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", [{"at_noon": ["x"]}, {"before_trial": []}, {"before_trial": [1]}])
def test_what_is_no_hook_is_no_order(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"hook"):
        blockfile._hooks(wanted)  # noqa: SLF001 -- of what a whole order is made
