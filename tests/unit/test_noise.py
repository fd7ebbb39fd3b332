"""A disturbed trial is known by its figures."""

import pytest

from cgidlab.measure.noise import disturbance
from cgidlab.model import Figures, NoisePolicy

POLICY = NoisePolicy(max_outsider_cpu=0.3, max_steal_share=0.05, reruns=1, max_slowdown_share=0.3)


@pytest.mark.parametrize(
    ("figures", "want"),
    [
        (Figures(outsider_cpu_share=0.8), "other processes used 0.80 of a core"),
        (
            Figures(outsider_cpu_share=0.1, outsider_wanted_cpu_share=1.0),
            "wanted 1.00 of a core right before and after",
        ),
        (Figures(slowdown_share=0.4), "the host was 40% slower than usual"),
        (Figures(host_steal_share=0.2), "the hypervisor took 20.0% of the CPUs"),
        (Figures(swapped_pages=12), "swapped 12 pages"),
        (Figures(throttled_ms=40.0), "throttled for 40 ms"),
    ],
)
def test_each_disturbance_is_named_with_its_figure(figures: Figures, want: str) -> None:
    said = disturbance(figures, POLICY)

    assert said is not None
    assert want in said


@pytest.mark.parametrize(
    "figures",
    [
        Figures(),
        Figures(outsider_cpu_share=0.3, host_steal_share=0.05, swapped_pages=0, throttled_ms=0.0),
    ],
    ids=["nothing observed", "at the bounds"],
)
def test_a_calm_or_unobserved_trial_is_not_called_noisy(figures: Figures) -> None:
    assert disturbance(figures, POLICY) is None


def test_noise_is_not_looked_at_when_the_file_says_so() -> None:
    loud = Figures(outsider_cpu_share=9.0, host_steal_share=0.9, swapped_pages=9, throttled_ms=9.0)

    assert disturbance(loud, NoisePolicy(None, None, 0)) is None
