"""What a report says of a run's windows and of its stopping rule."""

from dataclasses import replace

import pytest

from cgidlab.analysis.analyse import analyse
from cgidlab.analysis.findings import Drift, SeriesCheck
from cgidlab.analysis.intervals import Interval
from cgidlab.model import Figures, Repetitions
from cgidlab.runs import reporting
from tests.unit import trial_records

STEADY = SeriesCheck(12, 0.314, 0.991, Interval(0.98, 1.002), warm_up_short=False)


@pytest.mark.parametrize(
    ("series", "want"),
    [
        (
            STEADY,
            (
                "The first quarter of the windows ran at 0.991 of the rest (95 % interval 0.980 to 1.002): the warm-up"
                " was long enough. Throughput of one second and of the next correlate by 0.31 (median of 12 trials); a"
                " window counts as one observation."
            ),
        ),
        (
            SeriesCheck(12, None, 0.8, Interval(0.78, 0.82), warm_up_short=True),
            (
                "The first quarter of the windows ran at 0.800 of the rest (95 % interval 0.780 to 0.820): the"
                " warm-up was too short."
            ),
        ),
        (
            SeriesCheck(2, None, 0.99, None, warm_up_short=False),
            (
                "The first quarter of the windows ran at 0.990 of the rest (too few blocks for an interval): that does"
                " not show whether the warm-up was long enough."
            ),
        ),
        (
            SeriesCheck(27, -0.23, 0.921, Interval(0.669, 1.267), warm_up_short=False),
            (
                "The first quarter of the windows ran at 0.921 of the rest (95 % interval 0.669 to 1.267): that does"
                " not show whether the warm-up was long enough. Throughput of one second and of the next correlate by"
                " \N{MINUS SIGN}0.23 (median of 27 trials); a window counts as one observation."
            ),
        ),
        (
            SeriesCheck(2, None, None, None, warm_up_short=False),
            "The windows are too short for series by the second.",
        ),
        (None, "No throughput by the second is known."),
    ],
    ids=["steady", "short warm-up", "few blocks", "noisy", "short windows", "no series"],
)
def test_the_windows_are_judged_with_their_figures(series: SeriesCheck | None, want: str) -> None:
    assert reporting.windows(series, 0.05) == want


@pytest.mark.parametrize(
    ("low", "high", "flagged", "want"),
    [
        (
            -0.014,
            0.02,
            False,
            "lay between \N{MINUS SIGN}1.4 % and +2.0 % of its median, block by block, in 15 min: less",
        ),
        (-0.09, 0.163, True, "+16.3 % of its median, block by block, in 15 min: more than the smallest effect"),
    ],
)
def test_the_hosts_pace_is_told_as_a_range_with_what_it_means(
    low: float,
    high: float,
    flagged: bool,  # noqa: FBT001 -- a case
    want: str,
) -> None:
    assert want in reporting.drift_words(Drift(low, high, 0.25, 17, 0.05, flagged))


@pytest.mark.parametrize(
    ("repetitions", "want"),
    [
        (
            Repetitions(6, 6),
            "Blocks that were planned: 6, with one look at the end; comparisons rest on 2 complete blocks.",
        ),
        (
            Repetitions(6, 30),
            (
                "From 6 to 30 blocks, until a look finds every comparison decided; looks come after 6, 14, 22, 30"
                " blocks; comparisons rest on 2 complete blocks. All looks share one error of 5 %, and intervals are as"
                " wide as that takes."
            ),
        ),
    ],
    ids=["fixed", "until decided"],
)
def test_the_stopping_rule_is_told_as_planned(repetitions: Repetitions, want: str) -> None:
    records = [
        trial_records.trial(b, Figures(throughput_rps=9.0), {"listen_backlog": label})
        for b in (1, 2)
        for label in ("5", "100")
    ]
    experiment = replace(trial_records.experiment(records), repetitions=repetitions)

    assert reporting.stopping(analyse(records, experiment)) == want
