"""What is asked of every witness and of the client in every control, in the order of a calibration's table."""

from cgidlab.instruments import WITNESSES
from cgidlab.instruments.controls import CONTROLS, FULL, Expectation, Kind

CLIENT = "load"  # the driver: no instrument, but who lost no request in a freeze

_ANSWERED = Expectation(
    FULL,
    Kind.POSITIVE,
    "all requests answered",
    lambda f, s: f.errors == 0 and (f.requests or 0) >= int(s["clients"]),
    ("requests", "errors"),
)

EXPECTATIONS: tuple[tuple[str, Expectation], ...] = tuple(
    (name, expectation)
    for control in CONTROLS
    for name, of_one in (*((w.name, w.expectations) for w in WITNESSES), (CLIENT, (_ANSWERED,)))
    for expectation in of_one
    if expectation.control == control
)
"""Witness and what it must show."""
