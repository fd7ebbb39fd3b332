"""Where single pairs make a mean, it and the trimmed mean are told apart by the figures that are printed."""

from dataclasses import replace

import pytest

from cgidlab.verdict import cost
from tests.unit import verdict_data


@pytest.mark.parametrize(
    ("mean", "estimate", "told"),
    [
        (0.98, 0.97, "ratio 0.98, and 0.97 without"),
        (1.031, 1.0349, "ratio 1.031, and 1.035 without"),
        (1.03, 1.02, "ratio 1.03, and 1.02 without"),
    ],
)
def test_two_means_that_differ_are_seen_to(mean: float, estimate: float, told: str) -> None:
    analysis = verdict_data.recorded("overflow_and_limit").analysis
    effects = [e for e in analysis.effects if e.smallest is not None and not e.pooled]
    apart = replace(effects[0], mean=mean, estimate=estimate, mean_apart=True)

    said = cost.warnings(replace(analysis, effects=(apart,)))

    assert any(told in line for line in said), said
