"""JSON that leaves the host.

Names of files, sockets and processes are bytes, and any user may choose some that are no text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Optional

# An escape of JSON's own; a pair of surrogates is one character, and a single one is none.
_ESCAPES = re.compile(r"\\(?:ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|u[0-9a-f]{4}|.)")
_SINGLE = re.compile(r"\\ud[89a-f][0-9a-f]{2}")
_BYTE = "\\udc"  # what surrogateescape makes of a byte begins so


def dumps(document: Mapping[str, Any], indent: Optional[int] = None) -> str:
    r"""Return a document as JSON in ASCII that every reader takes; a byte that is no UTF-8 is told as `\xff`."""
    text = json.dumps(document, indent=indent)
    return _ESCAPES.sub(_whole, text) if "\\ud" in text else text


def _whole(found: re.Match[str]) -> str:
    escape = found.group()
    if not _SINGLE.fullmatch(escape):
        return escape
    return "\\\\x" + escape[-2:] if escape.startswith(_BYTE) and escape[4] in "89abcdef" else "\\ufffd"
