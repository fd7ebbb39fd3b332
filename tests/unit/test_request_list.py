"""What a load asks for, from a file of the user's: its weights are kept, and of a log nothing but paths and queries."""

from collections import Counter

import pytest

from cgidlab.design import request_list
from cgidlab.design.request_list import RequestList
from cgidlab.errors import SpecError

SCRIPTS = frozenset({"status.cgi"})
LOG = r"""
10.0.0.1 - anna [29/Nov/2026:10:00:00 +0000] "GET /cgi-bin/status.cgi?a=1 HTTP/1.1" 200 12 "http://ref/" "agent"
www:80 10.0.0.2 - - [29/Nov/2026:10:00:01 +0000] "GET http://u:p@www/cgi-bin/status.cgi?b=%20x#y HTTP/1.1" 304 -
10.0.0.3 - - [29/Nov/2026:10:00:02 +0000] "POST /cgi-bin/status.cgi HTTP/1.1" 200 3
10.0.0.3 - - [29/Nov/2026:10:00:03 +0000] "GET /cgi-bin/status.cgi?c HTTP/1.1" 500 3
10.0.0.3 - - [29/Nov/2026:10:00:04 +0000] "GET /index.html HTTP/1.1" 200 3
10.0.0.3 - - [29/Nov/2026:10:00:05 +0000] "GET /cgi-bin/status.cgi?q=\"\xc3\xa4\" HTTP/1.1" 200 3
10.0.0.3 - - [29/Nov/2026:10:00:06 +0000] "GET /cgi-bin/status.cgi?z=\x0d\x0aHost HTTP/1.1" 200 3
10.0.0.3 - - [29/Nov/2026:10:00:07 +0000] "\x16\x03\x01" 400 3
torn
10.0.0.1 - - [29/Nov/2026:10:00:08 +0000] "GET /cgi-bin/status.cgi?a=1 HTTP/1.1" 200 12
"""


def parsed(text: str) -> RequestList:
    return request_list.parse(text.encode(), "status.requests", SCRIPTS)


def test_weights_are_kept_exactly_and_the_order_is_mixed_and_always_the_same() -> None:
    text = "# a comment\n8 /cgi-bin/status.cgi?rows=10\n1\t/cgi-bin/status.cgi/more\n/cgi-bin/status.cgi\n"

    found = parsed(text)

    counts = Counter(found.uris)
    assert counts["/cgi-bin/status.cgi?rows=10"] == 8 * counts["/cgi-bin/status.cgi"]
    assert counts["/cgi-bin/status.cgi/more"] == counts["/cgi-bin/status.cgi"]
    assert list(found.uris) != sorted(found.uris)
    assert len(found.uris) >= 1000
    assert found == parsed(text)
    assert found.said == "3 different requests by their weights"
    assert found.text.count(b"\n") == len(found.uris)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("/cgi-bin/status.cgi?a=b c", "/cgi-bin/status.cgi?a=b%20c"),
        ("/cgi-bin/status.cgi?n=ä", "/cgi-bin/status.cgi?n=%C3%A4"),
        ('/cgi-bin/status.cgi?"<>|', "/cgi-bin/status.cgi?%22%3C%3E%7C"),
        ("/cgi-bin/status.cgi?p=%41&x[]=1", "/cgi-bin/status.cgi?p=%41&x[]=1"),
        ("http://elsewhere.example:81/cgi-bin/status.cgi?a", "/cgi-bin/status.cgi?a"),
        ("https://user:word@elsewhere/cgi-bin/status.cgi#part", "/cgi-bin/status.cgi"),
    ],
)
def test_what_a_first_line_cannot_hold_is_encoded_and_hosts_are_dropped(written: str, asked: str) -> None:
    assert set(parsed(f"1 {written}\n").uris) == {asked}


@pytest.mark.parametrize(
    ("text", "what", "where", "fix"),
    [
        ("", "names no request", "status.requests", "3 /cgi-bin/status.cgi?a=1"),
        ("1 /cgi-bin/status.cgi\n2 what\n", "`2 what` is no request", "line 2", "3 /cgi-bin/"),
        ("1 /cgi-bin/staus.cgi\n", "no script `staus.cgi`", "line 1", "`status.cgi`"),
        ("1 /index.html\n", "is no script of the server", "line 1", "/cgi-bin/status.cgi"),
        ("0 /cgi-bin/status.cgi\n", "a weight is 1 or more", "line 1", ""),
        ("1 /cgi-bin/status.cgi?\x01\n", "a control character", "line 1", "%XX"),
        ("1 /cgi-bin/status.cgi?\rHost: x\n", "a control character", "line 1", "%XX"),
        (f"1 /cgi-bin/status.cgi?{'x' * 5000}\n", "at most 4000 bytes", "line 1", ""),
        ("90000 /cgi-bin/status.cgi\n", "add up to 90,000", "status.requests", "divide"),
    ],
)
def test_a_wrong_list_is_refused_at_its_line(text: str, what: str, where: str, fix: str) -> None:
    with pytest.raises(SpecError) as refused:
        parsed(text)

    assert what in refused.value.what
    assert where in refused.value.where
    assert fix in refused.value.fix


def test_of_a_log_paths_and_queries_are_taken_in_its_order_and_what_is_left_out_is_counted() -> None:
    found = parsed(LOG)

    assert found.uris == (
        "/cgi-bin/status.cgi?a=1",
        "/cgi-bin/status.cgi?b=%20x",
        "/cgi-bin/status.cgi?q=%22%C3%A4%22",
        "/cgi-bin/status.cgi?a=1",
    )
    for part in (
        "4 requests of an access log",
        "1 not GET",
        "1 not answered with 2xx or 3xx",
        "1 for other paths",
        "1 with control characters, or too long",
        "2 that cannot be read",
    ):
        assert part in found.said


def test_a_long_log_is_cut_and_says_so() -> None:
    line = '10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /cgi-bin/status.cgi HTTP/1.1" 200 12\n'

    found = parsed(line * (request_list.MOST_REQUESTS + 5))

    assert len(found.uris) == request_list.MOST_REQUESTS
    assert "5 after the first 20,000" in found.said


def test_a_log_without_a_request_for_the_script_is_refused_with_what_was_in_it() -> None:
    line = '10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /other HTTP/1.1" 200 12\n'

    with pytest.raises(SpecError, match="left out were 2 for other paths"):
        parsed(line * 2)
