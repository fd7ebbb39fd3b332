"""The roles' own Python for Ansible: its modules, its utilities and its plugins, imported as Ansible would."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

ROLES = Path(__file__).parents[1] / "roles"

# Where Ansible itself looks for them when it packs a module.
importlib.import_module("ansible.module_utils").__path__ += sorted(map(str, ROLES.glob("*/module_utils")))


def utility(name: str) -> ModuleType:
    """Return what modules import as `ansible.module_utils.NAME`."""
    return importlib.import_module(f"ansible.module_utils.{name}")


def module(role: str, name: str, kind: str = "library") -> ModuleType:
    """Return a module of a role, or another kind of plugin, each time anew."""
    spec = importlib.util.spec_from_file_location(name, ROLES / role / kind / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
