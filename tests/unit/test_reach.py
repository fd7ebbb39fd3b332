"""A network that is not there is said within seconds, with the names of what could not be reached."""

import socket
import time
from pathlib import Path

import pytest

from tests.role_code import utility

ansible_utils = utility("lab_build")
lab_reach = utility("lab_reach")
GONE = "http://no-such-host.invalid/debian"


@pytest.fixture
def port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_what_cannot_be_reached_is_named_with_its_reason(port: int) -> None:
    begin = time.monotonic()
    with pytest.raises(ansible_utils.LabError) as caught:
        lab_reach.check("what packages come from", [f"http://127.0.0.1:{port}/x", GONE], limit_s=4.0)

    assert time.monotonic() - begin < 15
    assert f"127.0.0.1:{port} (Connection refused)" in str(caught.value)
    assert "no-such-host.invalid:80 (" in str(caught.value)
    assert "proxy" in str(caught.value)


def test_one_source_that_answers_is_enough_and_files_need_no_network(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        lab_reach.check("x", [f"http://127.0.0.1:{there.getsockname()[1]}/", f"http://127.0.0.1:{port}/"])
    lab_reach.check("x", [f"http://127.0.0.1:{port}/", "file:/srv/debian"])
    lab_reach.check("x", [])


def test_behind_a_proxy_the_proxy_is_what_has_to_answer(port: int) -> None:
    proxies = {"http": f"http://127.0.0.1:{port}"}

    assert lab_reach.place_of(GONE, proxies) == ("127.0.0.1", port)
    assert lab_reach.place_of(GONE, {"http": "DIRECT"}) == ("no-such-host.invalid", 80)
    assert lab_reach.place_of("https://example.org/", {}) == ("example.org", 443)
    assert lab_reach.place_of("https://mirror.$infra.org/", {}) is None
    with pytest.raises(ansible_utils.LabError, match=f"127.0.0.1:{port}"):
        lab_reach.check("x", [GONE], proxies)


def test_the_repositories_of_dnf_are_those_that_are_enabled(tmp_path: Path) -> None:
    (tmp_path / "one.repo").write_text(
        "[base]\nname=a\nmetalink=https://links.example.org/x?repo=1\n"
        "[off]\nenabled=0\nbaseurl=https://off.example.org/\n[mine]\nbaseurl=http://a.example.org/1 http://b.example.org/2\n"
    )
    (tmp_path / "dnf.conf").write_text("[main]\nproxy=http://proxy.example.org:3128\n")

    urls, proxies = lab_reach.dnf_sources(str(tmp_path), str(tmp_path / "dnf.conf"))

    assert urls == ["https://links.example.org/x?repo=1", "http://a.example.org/1"]
    assert proxies == dict.fromkeys(("http", "https"), "http://proxy.example.org:3128")
