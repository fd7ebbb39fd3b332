"""A class name means one thing, on the control machine and on a host."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTROL, HOST = ROOT / "cgidlab", ROOT / "roles/trial/files/cgidhost"
# What both programs know as the same thing, beside the two halves of an instrument or a driver.
OF_BOTH = {
    "Sentinel": "what watches the host around every trial: its half there, and what reads it",
    "Server": "the httpd of a trial: that runs, and as result.json tells of it",
    "Trial": "one trial: as it is planned, and as it runs",
    "Process": "a process of a host: as it is seen, and in a snapshot",
}


def classes(root: Path) -> dict[str, list[str]]:
    """Return by each class's name, without underscores before it, the modules that define it."""
    found = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(str(path.relative_to(root)))
    return found


def test_a_class_name_stands_for_one_thing_in_each_of_the_two_programs() -> None:
    assert len(classes(CONTROL)) > 100
    for root in (CONTROL, HOST):
        assert {name: places for name, places in classes(root).items() if len(places) > 1} == {}


def test_a_class_name_of_both_programs_is_two_halves_of_one_thing() -> None:
    control, host = classes(CONTROL), classes(HOST)

    shared = {name for name in control.keys() & host.keys() if control[name] != host[name]}

    assert shared == set(OF_BOTH)
