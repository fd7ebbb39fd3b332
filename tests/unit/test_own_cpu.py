"""What this program takes of a machine that is being measured is known to the windows."""

import subprocess
import sys
import time

import pytest

from cgidlab.engine.own_cpu import OwnCpu, between

_BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"


@pytest.mark.parametrize(("moment", "want"), [(0, 5.0), (1, 5.0), (2, 6.0), (3, 7.0), (3.5, 8.0), (4, 9.0), (9, 9.0)])
def test_a_rising_figure_is_evenly_spread_between_two_looks(moment: float, want: float) -> None:
    assert between([(1, 5.0), (3, 7.0), (4, 9.0)], moment) == pytest.approx(want)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "alive"])
def test_what_children_use_counts_whether_they_have_ended_or_not(*, ended: bool) -> None:
    with OwnCpu() as cpu:
        began_s = time.time()
        code = _BURN + ("" if ended else "print(flush=True)\ninput()\n")
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # until it has burnt its time, or is gone
        if ended:
            child.wait()
        cpu.look()
        ended_s = time.time()
    child.communicate(b"\n")

    assert cpu.whole_s >= 0.28, "to a tick of the kernel's clock"
    assert cpu.used_s([(began_s, ended_s)]) == pytest.approx(cpu.whole_s, abs=0.1)
    assert cpu.used_s([(began_s - 60, began_s - 1)]) == 0


def test_a_child_that_began_later_is_found_while_it_lives() -> None:
    with OwnCpu() as cpu:
        child = subprocess.Popen([sys.executable, "-c", _BURN + "input()\n"], stdin=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 30
            while cpu.whole_s < 0.28 and time.monotonic() < deadline:
                time.sleep(0.05)
            found_s = cpu.whole_s
        finally:
            child.communicate(b"\n")

    assert found_s >= 0.28, "no look searched for it"
