"""Whether the witnesses can be believed on a host: the controls, what they must show, and what they showed. Pure."""

from cgidlab.calibrate.controls import (
    FIGURES_OF,
    IDLE,
    NAME,
    REFUSED,
    Kind,
    Observation,
    Row,
    State,
    Witness,
    make_plan,
)
from cgidlab.calibrate.judge import httpd_facts, judge, proven, witnesses

__all__ = [
    "FIGURES_OF",
    "IDLE",
    "NAME",
    "REFUSED",
    "Kind",
    "Observation",
    "Row",
    "State",
    "Witness",
    "httpd_facts",
    "judge",
    "make_plan",
    "proven",
    "witnesses",
]
