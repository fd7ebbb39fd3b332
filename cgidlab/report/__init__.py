"""The report of a run: one HTML page, Markdown, JSON or JUnit's XML, made from values alone."""

from pathlib import Path

from cgidlab import files
from cgidlab.instruments.base import Answered, Series, TrialDetail
from cgidlab.report.data import QUANTILE_SHARES, ReportInput
from cgidlab.report.document import as_json
from cgidlab.report.facts import QUESTIONS
from cgidlab.report.markdown import as_markdown
from cgidlab.report.page import render
from cgidlab.report.say import LANGUAGES, Say

__all__ = [
    "LANGUAGES",
    "QUANTILE_SHARES",
    "QUESTIONS",
    "Answered",
    "ReportInput",
    "Say",
    "Series",
    "TrialDetail",
    "as_json",
    "as_markdown",
    "render",
    "write",
]


def write(report: ReportInput, run_directory: Path, cache: Path | None = None) -> Path:
    """Write `report.html` into the run directory, whole or not at all, and return its path.

    `cache` is where the plotting script may be kept between reports, which
    saves two seconds. Raises `StoreError` when the file cannot be written.
    """
    path = run_directory / "report.html"
    files.write_text(path, render(report, cache))
    return path
