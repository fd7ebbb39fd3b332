"""Check that the files of the repository keep the rules no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

import runner

MAX_LINES = 400
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# What would tie the repository to one machine or one person. Joined so that this file does not hold them.
FORBIDDEN = (
    re.compile("/" + r"home/\w\w"),  # one letter stands for anybody
    re.compile("/" + r"work/\w"),
    re.compile("/" + r"Users/\w"),
    re.compile(r"(?<![\w.])/" + r"root/\w"),
    re.compile("/tmp/" + r"(?:proto|issues|fresh|bash)"),  # noqa: S108 -- looked for, not used
    re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b"),
    re.compile("-----BEGIN " + "[A-Z ]*PRIVATE KEY"),
    re.compile("<" * 7 + " |" + ">" * 7 + " "),
)
# The licence is not ours; locks hold hashes in which any letters may meet.
FOREIGN = re.compile(r"^LICENSE$|\.lock$")


def tracked(root: Path, *patterns: str) -> list[Path]:
    """Return the files git knows, or would add, that match and are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


def texts(root: Path, *patterns: str) -> dict[str, str]:
    """Return those files that are UTF-8 text, by their path inside the repository."""
    found = {}
    for path in tracked(root, *patterns):
        try:
            found[str(path.relative_to(root))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_module_is_longer_than_a_head_can_hold(repo_root: Path) -> None:
    modules = {n: t for n, t in texts(repo_root, "*.py").items() if not n.startswith("tests/")}

    assert len(modules) > 1
    assert {n: len(t.splitlines()) for n, t in modules.items() if len(t.splitlines()) > MAX_LINES} == {}


def test_every_module_says_first_what_it_is(repo_root: Path) -> None:
    modules = texts(repo_root, "cgidlab/*.py", "roles/trial/files/*.py", "runner.py")

    unsaid = [n for n, t in modules.items() if t.strip() and not re.match(r'(#!.*\n)?r?"""\S', t)]

    assert unsaid == []


@pytest.mark.parametrize("pattern", FORBIDDEN, ids=lambda p: p.pattern)
def test_nothing_ties_the_repository_to_a_machine_or_is_left_undone(repo_root: Path, pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}"
        for name, text in texts(repo_root).items()
        if not FOREIGN.search(name)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []


def test_decisions_are_numbered_without_gaps_and_in_one_form(repo_root: Path) -> None:
    paths = sorted((repo_root / "docs" / "adr").glob("*.md"))

    assert [p.name[:4] for p in paths] == [f"{n:04d}" for n in range(1, len(paths) + 1)]
    for number, path in enumerate(paths, start=1):
        text = path.read_text()
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
        assert text.startswith(f"# {number}. "), path.name
        want = ["Context", "Choice", "Price", "What would change our mind"]
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == want, path.name


def test_links_in_documents_lead_to_files_and_headings_that_exist(repo_root: Path) -> None:
    broken = []
    for name, text in texts(repo_root, "*.md").items():
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (repo_root / name).parent / target if target else repo_root / name
            if not path.exists() or (anchor and anchor not in headings(path)):
                broken.append(f"{name}: {link}")

    assert broken == []


def headings(path: Path) -> set[str]:
    """Return the anchors that a Markdown file offers, as code hosts form them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_experiment_is_explained_somewhere(repo_root: Path) -> None:
    prose = "\n".join(texts(repo_root, "README.md", "docs/*.md").values())
    experiments = [p.name for p in tracked(repo_root, "experiments/*.yml")]

    assert experiments
    assert [name for name in experiments if f"experiments/{name}" not in prose] == []


def test_every_direct_dependency_has_its_reason(repo_root: Path) -> None:
    names = re.findall(r"^([a-z][\w.-]*)", (repo_root / "requirements.in").read_text(), re.MULTILINE)
    reasons = (repo_root / "docs" / "adr" / "0002-dependencies.md").read_text()

    assert names
    assert [name for name in names if f"| {name}" not in reasons] == []


def test_both_locks_name_the_same_versions_and_a_hash_for_each(repo_root: Path) -> None:
    pins = re.compile(r"^([\w.-]+==\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
    run, dev = (
        dict(pins.findall((repo_root / name).read_text())) for name in ("requirements.lock", "requirements-dev.lock")
    )

    assert run
    assert set(run) <= set(dev)
    assert [pin for pin, rest in {**run, **dev}.items() if "--hash=sha256:" not in rest] == []


def test_the_runner_checks_for_every_direct_dependency(repo_root: Path) -> None:
    """A package that is missing should be named by runner.py, not by a traceback."""
    modules = {"ansible-core": "ansible", "pyyaml": "yaml", "vl-convert-python": "vl_convert"}
    names = re.findall(r"^([a-z][\w-]*)", (repo_root / "requirements.in").read_text(), re.MULTILINE)

    want = {modules.get(name, name.replace("-", "_")) for name in names}

    assert set(runner.PACKAGES) == want
    assert set().union(*map(set, runner.NEEDS.values())) < want


def test_the_commands_of_the_readme_are_make_targets(repo_root: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (repo_root / "Makefile").read_text(), re.MULTILINE))
    documents = "\n".join(texts(repo_root, "*.md", ".ci/run").values())

    named = set(re.findall(r"^    make ([a-z0-9-]+)|`make ([a-z0-9-]+)|^make ([a-z0-9-]+)", documents, re.MULTILINE))

    assert {name for groups in named for name in groups if name} - targets == set()
