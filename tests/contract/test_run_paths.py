"""What lies below a run is opened by `cgidlab.rundir` alone, and its documents are read by `parsers.document` alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ROOT / "cgidlab"
READING = (
    "runs",
    "measure",
    "parsers",
    "drivers",
    "instruments",
    "compare",
    "verdict",
    "analysis",
    "report",
    "calibrate",
)
MODULES = sorted(
    str(path.relative_to(CODE))
    for path in (
        *(p for name in READING for p in (CODE / name).rglob("*.py")),
        CODE / "numeric_lines.py",
        *(CODE / "engine" / f"{name}.py" for name in ("resuming", "recovering", "journal", "pacing", "spreading")),
    )
)
OPENING = {
    "open",
    "read_text",
    "read_bytes",
    "iterdir",
    "glob",
    "rglob",
    "scandir",
    "listdir",
    "walk",
    "loads",
    "load",
    "JSONDecoder",
    "content",
}
ALLOWED: dict[str, dict[str, str]] = {
    "parsers/document.py": {"JSONDecoder": "the one reader of documents"},
    "parsers/inventory.py": {"content": "an inventory that is handed to Ansible, by `named_file`"},
    "parsers/error_log/__init__.py": {"open": "for a log that is no part of a run"},
    "parsers/error_log/beside.py": {"open": "a pipe's descriptors", "loads": "what our own child wrote into it"},
    "parsers/error_log/wrappings.py": {"JSONDecoder": "lines of a log, each by itself and bounded"},
    "instruments/connect_times.py": {"read_bytes": "what a host sent, unpacked by this program just now"},
    "runs/comparing.py": {"glob": "names of runs"},
    "runs/keeping.py": {"load": "`records.load`"},
    "report/script.py": {"read_text": "the program's own files, and its cache"},
    "runs/provenance.py": {"rglob": "the program's own files", "read_bytes": "same"},
    "runs/harvest.py": {
        "open": "tarfile's own, on a file that `rundir.opened` has opened",
        "rglob": "a trial that is being unpacked, in a directory made just now",
    },
    "runs/history.py": {"glob": "names of runs, which are above what is in them"},
    "runs/changes.py": {"glob": "same"},
    "runs/status.py": {"glob": "same"},
    "runs/proven.py": {"glob": "same"},
    "runs/store.py": {"glob": "names of Ansible's directories; nothing in them is read"},
    "measure/__init__.py": {"glob": "whether there are rows; they are not opened so"},
    "engine/recovering.py": {"glob": "names of runs"},
    "engine/resuming.py": {
        "glob": "names of runs, and scraps of one that `rundir.check_owned` has looked through",
        "iterdir": "same",
        "walk": "same",
        "load": "its own function",
    },
    "engine/spreading.py": {"load": "`records.load`"},
    "engine/pacing.py": {},
}


def _opened(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in OPENING:
                yield name, node.lineno


@pytest.mark.parametrize("module", MODULES)
def test_no_other_module_opens_what_may_lie_below_a_run(module: str) -> None:
    found = {f"{name} in line {line}" for name, line in _opened(CODE / module) if name not in ALLOWED.get(module, {})}

    assert not found, f"{module}: use cgidlab.rundir, or say in this test why it is no path below a run"


@pytest.mark.parametrize("module", ALLOWED)
def test_every_exception_is_needed(module: str) -> None:
    assert set(ALLOWED[module]) <= {name for name, _ in _opened(CODE / module)}
