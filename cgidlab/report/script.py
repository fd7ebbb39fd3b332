"""The scripts a page carries, and the policy that lets nothing else run: the only module that knows vl-convert."""

import base64
import contextlib
import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import vl_convert

from cgidlab import files
from cgidlab.errors import StoreError

VEGA_LITE = "6.4"  # what Altair 6.3 writes; tests compare the two
_GLOBALS = "window.vegaEmbed = vegaEmbed;"


@lru_cache(maxsize=1)
def _bundle() -> str:
    bundle = vl_convert.javascript_bundle(_GLOBALS, vl_version=VEGA_LITE)
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise ValueError("the plotting script cannot be put into a page as it is")
    return bundle


def plotting_script(cache: Path | None) -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, about 900 kB.

    Making it takes seconds, so it is kept below `cache` when one is given,
    under the versions and the digest of what it should be; a cache that
    cannot be written only costs those seconds again.
    """
    if cache is None:
        return _bundle()
    kept = cache / f"plotting-{VEGA_LITE}-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, ValueError):
        digest, _, script = kept.read_text(encoding="utf-8").partition("\n")
        if digest == f"// sha256 {sha256(script).hex()}":
            return script
    script = _bundle()
    with contextlib.suppress(StoreError):
        files.make_directory(cache)
        files.write_text(kept, f"// sha256 {sha256(script).hex()}\n{script}")
    return script


def page_script() -> str:
    """Return the page's own script: it hands data to the plots and sorts and filters tables."""
    return (package_files(__package__) / "templates" / "page.js").read_text(encoding="utf-8")


def history_script() -> str:
    """Return the script of the page of all runs: it draws its plots."""
    return (package_files(__package__) / "templates" / "history.js").read_text(encoding="utf-8")


def page_style() -> str:
    """Return the page's style sheet."""
    return (package_files(__package__) / "templates" / "page.css").read_text(encoding="utf-8")


def sha256(text: str) -> bytes:
    """Return the digest of a text's UTF-8 form."""
    return hashlib.sha256(text.encode()).digest()


def policy(*scripts: str) -> str:
    """Return a Content-Security-Policy: these scripts may run, by digest, and nothing may be fetched."""
    allowed = " ".join(f"'sha256-{base64.b64encode(sha256(s)).decode()}'" for s in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"


def embedded_json(value: Any) -> str:  # noqa: ANN401 -- whatever JSON can hold
    """Return JSON that can stand inside a script element: no text in it can end the element or open a comment.

    NaN and infinity are refused: they are not JSON.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
