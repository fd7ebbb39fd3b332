"""A headless Chromium, driven through chromedriver's W3C protocol with the standard library alone."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name resolves: a page that fetches anything fails loudly
)
START_LIMIT_S = 30
REQUEST_LIMIT_S = 120
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """Return why no browser can be driven here, or nothing when one can."""
    if shutil.which("chromedriver") is None:
        return "chromedriver is not installed (Debian: chromium-driver)"
    if not any(shutil.which(name) for name in CHROMIUM_NAMES):
        return "Chromium is not installed"
    return ""


class Browser:
    """One session. Every call raises `RuntimeError` with the browser's own words when it fails."""

    def __init__(self, address: str, session: str) -> None:
        self._address = address
        self._session = session

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 -- JSON
        return _request(method, f"{self._address}/session/{self._session}{path}", body)

    def open(self, page: Path) -> None:
        """Open a local file and wait until it is loaded."""
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 -- whatever the script returns
        """Return what a script's body returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, what: str, script: str, limit_s: float = 60) -> None:
        """Wait until a script returns something true; fail naming `what` when it does not in time."""
        deadline = time.monotonic() + limit_s
        while not self.run(script):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {limit_s} s for {what}")
            time.sleep(0.05)

    def _find(self, css: str) -> str:
        return str(self._call("POST", "/element", {"using": "css selector", "value": css})[_ELEMENT])

    def click(self, css: str) -> None:
        """Click an element as a user does: it must be there to be hit."""
        self._call("POST", f"/element/{self._find(css)}/click", {})

    def type(self, css: str, text: str) -> None:
        """Type into an element, key by key."""
        self._call("POST", f"/element/{self._find(css)}/value", {"text": text})

    def size(self, width: int, height: int) -> None:
        """Set the size of the page's viewport, as a phone or a desktop of that size would show it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, media: str = "", scheme: str = "light") -> None:
        """Show the page as on this medium ("print" or nothing) and in this colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 -- JSON
        """Return the answer to a DevTools command."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path) -> None:
        """Write what the viewport shows as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def console(self) -> list[str]:
        """Return the console's messages since the last call, but for its own pages', as "LEVEL: text"."""
        said = self._call("POST", "/se/log", {"type": "browser"})
        return [f"{m['level']}: {m['message']}" for m in said if not m["message"].startswith("chrome://")]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with a profile of its own; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="cgidlab-browser-", ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "chromedriver.log"
        with log.open("wb") as stream:
            driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=stream, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{_port(driver, log)}"
            chromium = next(path for name in CHROMIUM_NAMES if (path := shutil.which(name)))
            options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}/profile"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = _request("POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Browser(address, session)
            finally:
                _request("DELETE", f"{address}/session/{session}", None)
        finally:
            driver.terminate()
            driver.wait(timeout=START_LIMIT_S)


def _port(driver: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return the port the driver says it listens on."""
    said = _until(driver, lambda: log.read_text(encoding="utf-8", errors="replace"), "started successfully on port ")
    return said.partition("started successfully on port ")[2].split(".")[0].strip()


def _until(driver: "subprocess.Popen[bytes]", read: Callable[[], str], words: str) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while words not in (said := read()) or not said.endswith("\n"):
        if driver.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"chromedriver did not start: {said}")
        time.sleep(0.02)
    return said


def _request(method: str, url: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401 -- JSON
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 -- loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=REQUEST_LIMIT_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as err:
        raise RuntimeError(f"{method} {url}: {json.load(err)['value']['message']}") from err
