"""Every task gives a module of ours what it asks for, and nothing that it does not know."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
# An action plugin of the same name stands between the task and the module, and gives arguments of its own.
BEHIND_A_PLUGIN = {path.stem for path in ROLES.glob("*/action_plugins/*.py")}
MODULES = {path.stem: path for path in ROLES.glob("*/library/*.py") if path.stem not in BEHIND_A_PLUGIN}


def _options(module: Path) -> dict[str, dict[str, Any]]:
    """Return what a module's documentation says of its arguments."""
    for statement in ast.parse(module.read_text()).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "DOCUMENTATION":
            options: dict[str, dict[str, Any]] = yaml.safe_load(ast.literal_eval(statement.value)).get("options", {})
            return options
    raise AssertionError(f"{module.name} has no DOCUMENTATION")


def _tasks(value: object) -> Iterator[dict[str, Any]]:
    """Give every task of a play, a block or a list of tasks."""
    for one in value if isinstance(value, list) else ():
        yield one
        for name in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from _tasks(one.get(name))


def _calls() -> list[tuple[str, str, dict[str, Any]]]:
    """Return each call of a module of ours: where it is, the module and its arguments."""
    files = [*ROLES.glob("*/tasks/*.yml"), *ROLES.glob("*/handlers/*.yml"), *(ROOT / "playbooks").glob("*.yml")]
    return [
        (f"{path.relative_to(ROOT)}: {task.get('name')}", module, task[module] or {})
        for path in sorted(files)
        for task in _tasks(yaml.safe_load(path.read_text()))
        for module in MODULES.keys() & task.keys()
    ]


def test_every_task_gives_a_module_of_ours_all_that_it_requires_and_nothing_else() -> None:
    wrong = []
    for where, module, given in _calls():
        options = _options(MODULES[module])
        required = {name for name, option in options.items() if option.get("required")}
        wrong += [f"{where}: {module} lacks {name}" for name in required - given.keys()]
        wrong += [f"{where}: {module} knows no {name}" for name in given.keys() - options.keys()]

    assert wrong == []


def test_every_module_of_ours_is_called() -> None:
    assert {module for _, module, _ in _calls()} == set(MODULES)
