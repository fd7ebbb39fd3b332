"""A case that ends its process, hangs it or takes too much memory is a find, and the cases after it are tried."""

import os
import signal
import time
from collections.abc import Sequence

import pytest

from tests.fuzz import bounded
from tests.fuzz.bounded import Find


def _tried(seed: str) -> Sequence[Find]:
    if seed == "ends":
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == "hangs":
        time.sleep(600)
    if seed == "takes much":
        bytearray(os.urandom(1)) * ((bounded.MOST_MB + 20) << 20)
    return [Find(seed, "verb", "a find")] if seed == "raises" else []


def test_each_case_is_bounded_and_none_takes_another_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "WAIT_S", 6.0)

    done = list(bounded.each(["good", "ends", "takes much", "raises", "hangs", "good"], _tried))

    said = {d.seed: "; ".join(f.text for f in d.finds) for d in done}
    assert [d.seed for d in done] == ["good", "ends", "takes much", "raises", "hangs", "good"]
    assert said["good"] == ""
    assert said["ends"] == "the process ended with -9"
    assert said["takes much"].endswith("MB were resident")
    assert said["raises"] == "a find"
    assert said["hangs"] == "nothing was heard for 6 s"
