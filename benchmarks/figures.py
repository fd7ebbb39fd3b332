"""What a benchmark says: rows of figures with their peers, as a table and as a file with provenance."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Series:
    """All values of one figure, in the order in which they were measured."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def text(self) -> str:
        """Return the median, with the 5th and 95th percentile where there are values enough."""
        middle = f"{_number(median(self.values))} {self.unit}".rstrip()
        if len(self.values) < 3:  # noqa: PLR2004 -- two values have no spread worth the name
            return middle
        cuts = quantiles(self.values, n=20, method="inclusive")
        return f"{middle} ({_number(cuts[0])} to {_number(cuts[-1])}, n = {len(self.values)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, what it is to reach, and what stood beside it in the same run."""

    what: str
    goal: str
    reached: bool
    ours: tuple[Series, ...]
    beside: tuple[Series, ...] = ()
    note: str = ""


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def write(name: str, rows: Sequence[Row]) -> Path:
    """Keep the rows of one benchmark with what they were made with; return the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "schema_version": 1,
        "name": name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "provenance": provenance(),
        "rows": [asdict(row) for row in rows],
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)
    return path


def provenance() -> dict[str, str | int | list[float]]:
    """Return what the figures depend on: machine, kernel, Python, and the state of the sources."""
    git = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}"]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=False, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], check=False, capture_output=True, text=True)
    model = next((li.partition(":")[2].strip() for li in _lines("/proc/cpuinfo") if li.startswith("model name")), "")
    return {
        "commit": commit + ("+changes" if changed.stdout.strip() else ""),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "load_average": list(os.getloadavg()),
    }


def table(contents: Sequence[dict[str, object]]) -> str:
    """Return kept results as one Markdown table, a line a row; below it the rows' notes and what made them."""
    lines = ["| what | to reach | measured | beside it | reached |", "| --- | --- | --- | --- | --- |"]
    notes: list[str] = []
    for content in contents:
        rows = content["rows"]
        assert isinstance(rows, list)  # noqa: S101 -- our own file
        for row in rows:
            ours = "<br>".join(_cell(s) for s in row["ours"])
            beside = "<br>".join(_cell(s) for s in row["beside"]) or "-"
            reached = "yes" if row["reached"] else "**no**"
            if row["note"]:
                notes.append(f"{len(notes) + 1}. {row['note']}")
                reached += f" ({len(notes)})"
            lines.append(f"| {row['what']} | {row['goal']} | {ours} | {beside} | {reached} |")
    parts = ["\n".join(lines), *(["\n".join(notes)] if notes else []), *_made(contents)]
    return "\n\n".join(parts) + "\n"


def _made(contents: Sequence[dict[str, object]]) -> list[str]:
    """Return one paragraph for each machine and state of the sources that results were made with."""
    names: dict[tuple[str, str], list[str]] = {}
    for content in contents:
        its = cast("dict[str, object]", content["provenance"])
        commit = str(its["commit"])
        short = commit.removesuffix("+changes")[:10] + (" with changes" if commit.endswith("+changes") else "")
        machine = f"{its['cores']} cores ({its['cpu']}), Linux {its['kernel']}, Python {its['python']}, commit {short}"
        names.setdefault((str(content["made"])[:10], machine), []).append(str(content["name"]))
    everything = len(names) == 1
    return [
        f"Made {date} on {machine}" + ("." if everything else f": {', '.join(of)}.")
        for (date, machine), of in names.items()
    ]


def _cell(raw: dict[str, object]) -> str:
    series = Series(str(raw["name"]), str(raw["unit"]), cast("list[float]", raw["values"]))
    return f"{series.name}: {series.text}" if series.name else series.text


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 1000:  # noqa: PLR2004 -- where decimals say nothing
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def say(text: str) -> None:
    """Tell who waits what is being measured."""
    print(text, file=sys.stderr, flush=True)
