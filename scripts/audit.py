"""What `make audit` runs: pip-audit looks for known vulnerabilities in what the locks name, where its data can be had.

    python scripts/audit.py LOCK ...

Ends with 1 for a vulnerability that is known, and with 0 and the reason where nobody can tell. It takes a few seconds
where the data cannot be reached and never longer than its limits.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = "https://pypi.org/pypi/{name}/{version}/json"  # where pip-audit looks
# In a process of its own: nothing else bounds how long a name may be looked up.
_LOOK = """
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
    json.load(answer)["vulnerabilities"]
"""
_LOOK_S = 10.0
_INSTALL_S = 120.0
_AUDIT_S = 120.0
_SHOWN = 200


class Skipped(Exception):  # noqa: N818 -- not an error
    """Nobody can tell; the text says why."""


def main(locks: Sequence[str]) -> int:
    """Audit the locks and print what was found."""
    try:
        look(DATA.format(**first_package(Path(locks[0]).read_text())))
        tool = installed(ROOT / ".cache" / "pip-audit")
        codes = []
        for lock in locks:
            code, text = judged(lock, asked(tool, lock))
            print(f"audit: {text}")
            codes.append(code)
    except Skipped as err:
        print(f"audit: skipped: {err}")
        return 0
    return max(codes)


def first_package(lock: str) -> dict[str, str]:
    """Return name and version of the first package of a lock."""
    found = re.search(r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)", lock, re.MULTILINE)
    if found is None:
        raise Skipped("the lock names no package")
    return found.groupdict()


def look(url: str) -> None:
    """Raise `Skipped` where there is no data about vulnerabilities."""
    try:
        ran = run([sys.executable, "-I", "-c", _LOOK, url], _LOOK_S)
    except Skipped as err:
        raise Skipped(f"its data cannot be reached: no answer in {_LOOK_S:.0f} s") from err
    if ran.returncode:
        raise Skipped(f"its data cannot be reached: {last_line(ran.stderr)}")


def installed(place: Path) -> str:
    """Return pip-audit, installed from its lock into an environment of its own: it is no part of what it audits."""
    lock = ROOT / "requirements-audit.lock"
    program, stamp = place / "bin" / "pip-audit", place / "stamp"
    if not (stamp.exists() and stamp.read_text() == lock.read_text() and program.exists()):
        stamp.unlink(missing_ok=True)
        for argv in (
            [sys.executable, "-I", "-m", "venv", "--clear", str(place)],
            [
                *(str(place / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"),
                *("--require-hashes", "--only-binary", ":all:", "-r", str(lock)),
            ],
        ):
            ran = run(argv, _INSTALL_S)
            if ran.returncode:
                raise Skipped(f"pip-audit cannot be installed: {last_line(ran.stderr)}")
        stamp.write_text(lock.read_text())
    return str(program)


def asked(tool: str, lock: str) -> dict[str, Any]:
    """Return what pip-audit reports of a lock."""
    words = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    ran = run([tool, *words, "-r", lock], _AUDIT_S)
    try:
        report: dict[str, Any] = json.loads(ran.stdout)
    except ValueError as err:
        raise Skipped(f"pip-audit gave no report on {lock}: {last_line(ran.stderr)}") from err
    return report


def judged(lock: str, report: dict[str, Any]) -> tuple[int, str]:
    """Return the exit status and the words for what pip-audit reports. What it could not look up is not called safe."""
    packages = report["dependencies"]
    known = [
        f"{p['name']} {p['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}"
        for p in packages
        for v in p.get("vulns", ())
    ]
    if known:
        return 1, "\n  ".join([f"{lock}: {len(known)} known vulnerabilities", *known])
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    if unknown:
        return 0, f"{lock}: skipped: nothing is known of {len(unknown)} of {len(packages)}: {', '.join(unknown)}"
    return 0, f"{lock}: no known vulnerability in {len(packages)} packages"


def run(argv: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; raise `Skipped` when that does not come in time."""
    try:
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=limit_s, cwd=ROOT)
    except subprocess.TimeoutExpired as err:
        raise Skipped(f"{Path(argv[0]).name} did not end within {limit_s:.0f} s") from err


def last_line(text: str) -> str:
    """Return the last thing that was said, as far as it fits on a line."""
    lines = text.strip().splitlines() or ["it says nothing"]
    return lines[-1][:_SHOWN]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["requirements.lock", "requirements-dev.lock"]))
