"""What a journal or a command names is removed only where a trial of that block made it: never for its name."""

import json
import os
import secrets
import shutil
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from cgidhost import commands, kernel, own, process, recover, undo
from cgidhost.ending import BlockError, TrialEnd
from cgidhost.server import Places


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """Return the directory of a block that nobody runs any more, below a host's work directory."""
    block = tmp_path / "work" / "run-block-001"
    block.mkdir(parents=True)
    (block / own.BLOCK).write_text("{}")
    return block


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a directory that is nobody's to remove."""
    path = tmp_path / "precious"
    path.mkdir()
    (path / "text").write_text("mine")
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that stands where directories of sockets are made."""
    path = tmp_path / "run"
    path.mkdir()
    monkeypatch.setattr(own, "_PLACES", (str(path), str(path)))
    return path


def sockets(place: Path, trial: str, name: str = "cgid-0123abcd-1-0123456789abcdef") -> Path:
    """Make a directory of sockets that says which trial made it."""
    path = place / name
    own.make(str(path))
    (path / own.MARK).symlink_to(trial)
    (path / "httpd.pid").write_text("1")
    return path


def write_journal(dead: Path, **change: object) -> None:
    with (dead / "journal.jsonl").open("a") as file:
        file.write(json.dumps({**change, "boot_id": undo.boot_id()}) + "\n")


def test_a_journal_that_names_another_directory_does_not_remove_it(dead: Path, precious: Path) -> None:
    """Any directory was removed, as root."""
    write_journal(dead, directory=str(precious))

    answer = recover.recover(str(dead.parent), [str(dead)], [])

    assert (precious / "text").read_text() == "mine"
    assert answer["problems"] == [f"{precious} is no directory that a trial makes: it stays"]
    assert dead.exists()


def test_a_link_that_a_journal_names_is_not_followed(dead: Path, precious: Path) -> None:
    (dead / "run").symlink_to(precious)
    write_journal(dead, directory=str(dead / "run"))

    (problem,) = undo.undo(str(dead))

    assert "is not a directory of this user's: it stays" in problem
    assert (precious / "text").exists()


def test_a_path_with_dots_leads_nowhere_else(dead: Path, precious: Path) -> None:
    write_journal(dead, directory=f"{dead}/../../precious")

    assert undo.undo(str(dead))
    assert (precious / "text").exists()


def test_the_directory_of_sockets_of_a_trial_of_the_block_is_removed(dead: Path, place: Path) -> None:
    path = sockets(place, f"{dead}/001")
    write_journal(dead, directory=str(path))

    assert undo.undo(str(dead)) == []
    assert not path.exists()


@pytest.mark.parametrize("name", ["cgid-0123abcd-1-0123456789abcdef", "other"])
def test_a_directory_of_sockets_of_another_block_stays(dead: Path, place: Path, name: str) -> None:
    path = sockets(place, f"{dead.parent}/run-block-002/001", name)
    write_journal(dead, directory=str(path))

    (problem,) = undo.undo(str(dead))

    assert problem.endswith("it stays")
    assert (path / "httpd.pid").exists()


def test_one_that_its_maker_had_no_time_to_mark_is_removed_empty(dead: Path, place: Path) -> None:
    path = place / "cgid-0123abcd-1-0123456789abcdef"
    own.make(str(path))
    write_journal(dead, directory=str(path))

    assert undo.undo(str(dead)) == []
    assert not path.exists()


@pytest.mark.needs_root
def test_a_directory_that_somebody_else_made_under_a_trials_name_stays(dead: Path, place: Path) -> None:
    path = sockets(place, f"{dead}/001")
    os.chown(path, 1234, 1234)
    write_journal(dead, directory=str(path))

    (problem,) = undo.undo(str(dead))

    assert "belongs to somebody else" in problem
    assert (path / "httpd.pid").exists()


def test_what_links_lead_to_is_not_removed_with_a_directory(dead: Path, precious: Path) -> None:
    (dead / "001").mkdir()
    (dead / "001" / "logs").symlink_to(precious)

    own.remove(str(dead), "001")

    assert not (dead / "001").exists()
    assert (precious / "text").exists()


def test_a_process_of_another_block_is_not_ended(dead: Path) -> None:
    other = f"{dead.parent}/run-block-002/001"
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, "CGIDLAB_TRIAL": other})
    try:
        write_journal(dead, trial=other)

        (problem,) = undo.undo(str(dead))

        assert "names a trial of another block" in problem
        assert left.poll() is None
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize(
    "change",
    [
        {"sysctl": "../../etc/passwd", "old": "x"},
        {"sysctl": "somaxconn"},
        {"sysctl": ["somaxconn"], "old": 1},
        {"directory": 5},
        {"trial": ""},
        {"firewall": "nftables"},
        {"firewall": "nftables", "chain": "inet filter input; flush ruleset", "comment": "cgidlab port 1"},
        {"firewall": "firewalld", "zone": "public", "rule": 'rule service name="ssh" accept'},
        {"firewall": "iptables"},
    ],
)
def test_what_no_trial_notes_is_named_and_not_done(dead: Path, change: dict[str, object]) -> None:
    before = {setting: kernel.read(setting) for setting in ("somaxconn",)}
    write_journal(dead, **change)

    assert len(undo.undo(str(dead))) == 1
    assert {setting: kernel.read(setting) for setting in before} == before


def test_a_journal_that_is_a_link_is_not_read(dead: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (dead / "journal.jsonl").symlink_to(tmp_path / "elsewhere")

    (problem,) = undo.undo(str(dead))

    assert "journal.jsonl is not read" in problem


def test_a_work_directory_that_others_may_write_to_is_not_touched(dead: Path) -> None:
    dead.parent.chmod(0o777)

    with pytest.raises(BlockError, match="is not a directory of this user's alone"):
        recover.recover(str(dead.parent), [], [])

    assert dead.exists()


def test_a_work_directory_that_is_a_link_is_not_touched(dead: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dead.parent)

    with pytest.raises(OSError, match="link"):
        recover.recover(str(tmp_path / "link"), [], [])

    assert dead.exists()


def test_a_block_outside_of_the_work_directory_is_named_and_not_touched(dead: Path, precious: Path) -> None:
    """As a run directory can name one whose block and journal lie in the directory itself."""
    (precious / own.BLOCK).write_text("{}")

    answer = recover.recover(str(dead.parent), [str(precious)], [])

    assert answer["problems"] == [
        f"{precious} is not in {dead.parent}, where trials run here: nothing there is touched"
    ]
    assert (precious / "text").exists()


def test_cleanup_removes_a_block_and_nothing_for_its_name(dead: Path, precious: Path) -> None:
    with pytest.raises(BlockError, match="is not a block's work directory"):
        commands.cleanup(str(precious))
    commands.cleanup(str(dead))

    assert (precious / "text").exists()
    assert not dead.exists()


def test_the_name_of_the_next_trials_directory_cannot_be_told_from_the_last_ones() -> None:
    names = {own.sockets_name("0123abcd", 7) for _ in range(100)}

    assert len(names) == 100
    assert all(name.startswith("cgid-0123abcd-7-") for name in names)


def test_a_directory_that_is_there_already_is_not_taken(place: Path, precious: Path) -> None:
    (place / "cgid-1").symlink_to(precious)
    (place / "cgid-2").mkdir()

    for name in ("cgid-1", "cgid-2"):
        with pytest.raises(FileExistsError):
            own.make(str(place / name))


@pytest.mark.needs_root
def test_root_makes_no_directory_where_others_may_write(place: Path) -> None:
    """Sticky or not: the kernel's settings for such places can't be counted on."""
    place.chmod(0o1777)

    with pytest.raises(PermissionError, match="others may write there"):
        own.make(str(place / "cgid-1"))


def test_root_makes_directories_of_sockets_where_only_root_writes() -> None:
    about = Path(own.sockets_place()).stat()

    assert os.geteuid() != 0 or (about.st_uid == 0 and not about.st_mode & 0o022)


@pytest.mark.needs_root
def test_a_trials_directories_are_made_once_and_undone_by_what_they_say_themselves(tmp_path: Path) -> None:
    """In the real place: where `isolation: host` has its sockets."""
    block = tmp_path / "run-block-001"
    block.mkdir()
    name = own.sockets_name(secrets.token_hex(4), 1)
    places = Places(str(block / "001"), os.path.join(own.sockets_place(), name))  # noqa: PTH118 -- as the helper does
    try:
        places.make(process.Account.of("nobody"))
        with pytest.raises(FileExistsError):
            places.make(process.Account.of("nobody"))

        about = Path(places.run).stat()
        assert (about.st_uid, stat.S_IMODE(about.st_mode)) == (0, 0o1775)
        assert own.remove_noted(places.run, str(block))
        assert not Path(places.run).exists()
        assert not own.remove_noted(places.run, str(block)), "a second time nothing"
    finally:
        shutil.rmtree(places.run, ignore_errors=True)


# --- files in directories where the server under test may make some --------------------------------------------------


def test_what_a_server_says_last_is_not_read_through_a_link_or_from_a_pipe(tmp_path: Path) -> None:
    """Root read /etc/shadow by it into the reason of a trial, or waited for ever."""
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "error_log").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "httpd_output")

    for name in ("error_log", "httpd_output"):
        with pytest.raises(OSError, match=name):
            process.read_plain(str(tmp_path / name))

    assert process.read_plain(str(tmp_path / "secret")) == "mine"


def test_a_programs_output_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "httpd_output").symlink_to(tmp_path / "precious")
    output = str(tmp_path / "httpd_output")

    with pytest.raises(TrialEnd, match="cannot start echo"):
        process.Program(["echo", "words"], output, output)

    assert (tmp_path / "precious").read_text() == "mine"


def test_python_programs_are_told_to_write_no_title_over_the_mark(tmp_path: Path) -> None:
    """Those of gunicorn do so where setproctitle is there, and were found by nobody then."""
    output = str(tmp_path / "output")

    process.Program(["env"], output, output, environment={undo.MARK[:-1]: str(tmp_path)}).reap(10)

    assert {"SPT_NOENV=1", f"{undo.MARK}{tmp_path}"} <= set(Path(output).read_text().split())


def test_processes_whose_title_has_written_over_their_environment_are_ended_by_that(tmp_path: Path) -> None:
    """php-fpm's do that; one that only names the trial among its words is somebody's who looks for it."""
    trial = str(tmp_path / "001")
    titles = {f"php-fpm: pool {undo.MARK}{trial}": True, f"grep {undo.MARK}{trial}": False}
    with ExitStack() as stack:
        made = {
            stack.enter_context(subprocess.Popen([title, "60"], executable="/bin/sleep", env={})): ends
            for title, ends in titles.items()
        }
        try:
            assert undo.end_processes_below(str(tmp_path)) == 1
            assert [p.poll() for p, ends in made.items() if not ends] == [None]
            assert [p.wait(10) for p, ends in made.items() if ends] == [-9]
        finally:
            for one in made:
                one.kill()
