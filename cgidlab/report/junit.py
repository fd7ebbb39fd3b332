"""What came of an experiment's requirements as JUnit's XML, for CI systems: a test case each."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from cgidlab.analysis.thresholds import Fulfilment, Shown
from cgidlab.terminal import printable

_TOLD = {Shown.MISSED: "not met", Shown.UNDECIDED: "not decided, which is no pass"}


def as_junit(experiment: str, run_id: str, found: Sequence[Fulfilment]) -> str:
    """Return a test suite with one case a requirement and cell. What is undecided fails, and its type says so."""
    failed = sum(f.state is not Shown.MET for f in found)
    suite = ET.Element("testsuite", name=_text(experiment), tests=str(len(found)), failures=str(failed), errors="0")
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", name="run", value=_text(run_id))
    for f in found:
        place = ", ".join(f"{name}={label}" for name, label in f.levels)
        case = ET.SubElement(suite, "testcase", classname=_text(experiment), name=_text(f"{f.required} at {place}"))
        if f.state is Shown.MET:
            ET.SubElement(case, "system-out").text = _text(f.why)
        else:
            message = _text(f"{_TOLD[f.state]}: {f.why}")
            ET.SubElement(case, "failure", type=f.state.value, message=message).text = message
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def _text(text: str) -> str:
    """Return text without what XML cannot hold."""
    return printable(" ".join(text.split()))
