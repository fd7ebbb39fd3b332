"""What a question itself names: a value that a response is not to pass."""

import re

_RESPONSES = {
    "p50": "latency_p50_ms",
    "median latency": "latency_p50_ms",
    "p90": "latency_p90_ms",
    "p99": "latency_p99_ms",
    "p99.9": "latency_p999_ms",
    "throughput": "throughput_rps",
}
_UNITS = {"ms": 1.0, "milliseconds": 1.0, "s": 1000.0, "seconds": 1000.0, "/s": 1.0, "requests a second": 1.0}
_OF_TIME = {"ms", "milliseconds", "s", "seconds"}
_BOUND = re.compile(
    rf"\b(?P<response>{'|'.join(map(re.escape, sorted(_RESPONSES, key=len, reverse=True)))})(?![\w.])"
    r"(?P<between>[^\d?.;]{0,60}?)"
    r"(?P<value>\d[\d,]*(?:\.\d+)?)\s*"
    rf"(?P<unit>{'|'.join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))})(?!\w)",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"exceed|below|under|above|over|less|more|within|most|least|stay|keep|reach|pass|[<>≤≥]", re.IGNORECASE
)


def bounds(question: str) -> dict[str, float]:
    """Return the values that responses are not to pass, in their columns' units: p99 < 100 ms is latency_p99_ms: 100.

    Only what has a word or a sign for passing between the response and the value; a change by so much is no bound.
    """
    found = {}
    for match in _BOUND.finditer(question):
        response = _RESPONSES[match["response"].lower()]
        factor = _UNITS[match["unit"].lower()]
        of_time = response.startswith("latency_")
        if of_time == (match["unit"].lower() in _OF_TIME) and _passes(match["between"]):
            found[response] = float(match["value"].replace(",", "")) * factor
    return found


def _passes(between: str) -> bool:
    return bool(_PASSING.search(between)) and not re.search(r"\bby\b", between)
