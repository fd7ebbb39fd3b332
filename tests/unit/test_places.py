"""Where something is, in words: by the factors that make the difference, and by the names that people use."""

from itertools import product

import pytest

from cgidlab.verdict import places
from cgidlab.verdict.overflow import CellOverflow, Overflow


def cells(**levels: tuple[str, ...]) -> list[CellOverflow]:
    found = [tuple(zip(levels, labels, strict=True)) for labels in product(*levels.values())]
    return [
        CellOverflow(one, Overflow.OBSERVED, 1, 1, (), (), (), 100, 101, 0.5, 3, 2000.0)
        for one in found
        if ("handler", "cgi") not in one or ("listen_backlog", "100") in one
    ]


HANDLERS = cells(
    handler=("cgid", "php_fpm"), listen_backlog=("100", "1024"), mpm=("event", "worker"), clients=("50", "200", "400")
)


@pytest.mark.parametrize(
    ("meant", "want"),
    [
        pytest.param({"clients": ("200", "400")}, " at 200 and 400 clients", id="load alone"),
        pytest.param({"listen_backlog": ("100",)}, " and listen_backlog 100", id="no load"),
        pytest.param(
            {"listen_backlog": ("100",), "clients": ("200",)}, " and listen_backlog 100 at 200 clients", id="both"
        ),
        pytest.param({}, "", id="everywhere"),
    ],
)
def test_cells_are_named_by_the_factors_that_make_the_difference(meant: dict[str, tuple[str, ...]], want: str) -> None:
    there = [c for c in HANDLERS if dict(c.levels)["handler"] == "cgid"]
    some = [c for c in there if all(dict(c.levels)[name] in labels for name, labels in meant.items())]

    assert places.of_cells(some, there, "handler") == want


def test_cells_without_a_rule_are_counted() -> None:
    there = cells(handler=("cgid",), listen_backlog=("5", "100"), clients=("50", "400"))

    assert places.of_cells([there[0], there[3]], there, "handler") == " in 2 of 4 cells"


def test_a_handler_is_named_as_its_users_call_it_and_a_queue_by_its_number() -> None:
    some = [c for c in HANDLERS if dict(c.levels)["handler"] == "php_fpm"]

    assert places.of_cells(some, HANDLERS, "listen_backlog", " with ") == " with php-fpm"
    assert places.levels_of("handler", ["fcgiwrap", "php_fpm"]) == "fcgiwrap and php-fpm"
    assert places.levels_of("listen_backlog", ["5", "100"]) == "5 and 100"
    assert places.levels_of("mpm", ["event", "worker"]) == "mpm event and worker"
    assert places.at_place((("handler", "cgid"), ("clients", "1024"))) == " and mod_cgid at 1,024 clients"
