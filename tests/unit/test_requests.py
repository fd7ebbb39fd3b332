"""Whose requests sleep in connect(): what is shortened of them, and how it is told."""

from typing import Any

import pytest
from cgidhost.observe.requests import Asked, network_of, shortened

from cgidlab.commands.requests import lines


@pytest.mark.parametrize(
    ("client", "want"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::9", "2001:db8:1::/48"),
        ("", ""),
        ("unix:", ""),
        ("192.0.2.7 or so", ""),
    ],
)
def test_an_address_is_shortened_to_its_network(client: str, want: str) -> None:
    assert network_of(client) == want


@pytest.mark.parametrize(
    ("request_line", "want"),
    [
        ("GET /cgi-bin/find?q=secret HTTP/1.1", "GET /cgi-bin/find"),
        ("GET /cgi-bin/find?q=a-long-one-that-httpd-cut-o", "GET /cgi-bin/find"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *"),
        ("NULL", "NULL"),
    ],
)
def test_a_request_line_loses_its_query(request_line: str, want: str) -> None:
    assert shortened(Asked("192.0.2.1", request_line, "www")).request == want


def said(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- values of the helper's answer
    top = {"clients": [["192.0.2.0/24", 30]], "requests": [["GET /a", 30], ["GET /b", 10]], "vhosts": [["www:80", 40]]}
    return {"seen": 50, "unknown": 10, "whole": False, "why_none": "", **top, **changes}


def test_the_top_ten_are_told_with_their_share_of_those_who_are_known() -> None:
    text = "\n".join(lines(said()))

    assert "Of 40 looks at a worker asleep in connect()" in text
    assert "75.0 %  GET /a" in text
    assert "100.0 %  www:80" in text


def test_why_there_are_none_is_told_where_somebody_slept() -> None:
    off = "ExtendedStatus is Off: httpd keeps no request line (set ExtendedStatus On)"

    assert lines(said(why_none=off)) == [f"Whose requests fill it? Not known: {off}."]
    assert lines(said(seen=0)) == []
    assert lines({"seen": 0, "why_none": "x"}) == []
    assert lines(None) == []


def test_what_a_stranger_sent_does_not_reach_the_terminal_as_it_is() -> None:
    assert "\x1b" not in "\n".join(lines(said(requests=[["GET /\x1b[2J", 40]])))
