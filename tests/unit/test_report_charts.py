"""The plots' axes hold whatever an experiment file may ask for."""

import pytest

from cgidlab.report import charts
from cgidlab.report.say import IN_ENGLISH


@pytest.mark.parametrize("share", [0.05, 0.99, 1.0, 5.0])
def test_the_band_that_does_not_matter_lies_on_the_axis_however_wide_it_is(share: float) -> None:
    spec = charts.effects("rows", charts.Intervals(["a"], [0.5, 1.2], share, None, "words"), IN_ENGLISH)

    (band,) = spec["datasets"][spec["layer"][0]["data"]["name"]]
    low, high = spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert 0 < low <= band["from"] < 1 < band["to"] == pytest.approx(1 + share)
    assert band["to"] <= high


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        (["1", "1024"], 4),
        (["clients=50", "clients=200"], 3),
        (["httpd=2.4.54, clients=50", "httpd=2.4.68, clients=200"], 1),
        (["script=hello, clients=50", "script=a name that takes the whole line of a legend, clients=200"], 1),
        (["利用者=50", "利用者=200"], 3),
        (["利用者のスクリプト=a", "利用者のスクリプト=b"], 2),
    ],
)
def test_a_legends_entries_stand_beside_each_other_only_where_the_longest_has_room(
    labels: list[str], want: int
) -> None:
    legend = charts.Lines(labels, "script, clients").colour()["legend"]

    assert legend.columns == want
