"""Whether the witnesses can be believed on a host: the controls, what they must show, and what they showed. Pure."""

from cgidlab.calibrate.controls import NAME, ControlTrial, Row, State, make_plan
from cgidlab.calibrate.judge import httpd_facts, judge, proven, witnesses

__all__ = [
    "NAME",
    "ControlTrial",
    "Row",
    "State",
    "httpd_facts",
    "judge",
    "make_plan",
    "proven",
    "witnesses",
]
