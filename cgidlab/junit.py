"""JUnit's XML, which CI systems read: a suite of cases, each with what became of it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from cgidlab.terminal import printable


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case: passed, unless it says why not."""

    name: str
    failed: str = ""
    skipped: str = ""
    kind: str = "failure"  # of a failure
    said: str = ""  # of one that passed


def suite(name: str, cases: Sequence[CaseResult], run_id: str = "") -> str:
    """Return the cases as one test suite. What XML has no character for is spelt out."""
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(bool(c.failed) for c in cases)),
        "errors": "0",
        "skipped": str(sum(bool(c.skipped) for c in cases)),
    }
    top = ET.Element("testsuites")
    found = ET.SubElement(top, "testsuite", {"name": _text(name), **counts})
    if run_id:
        ET.SubElement(ET.SubElement(found, "properties"), "property", name="run", value=_text(run_id))
    for one in cases:
        case = ET.SubElement(found, "testcase", classname=_text(name), name=_text(one.name))
        if one.failed:
            ET.SubElement(case, "failure", type=one.kind, message=_text(one.failed))
        elif one.skipped:
            ET.SubElement(case, "skipped", message=_text(one.skipped))
        elif one.said:
            ET.SubElement(case, "system-out").text = _text(one.said)
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def _text(text: str) -> str:
    return printable(" ".join(text.split()))
