"""A registry made from its folder refuses, by name, whatever would be left out of it."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from cgidhost import listing as on_the_host

from cgidlab import listing
from cgidlab.errors import LabError

BASE = "class Thing:\n    name = ''\n"


def of_the_control_machine(package: str, folder: Iterable[str], base: type) -> list[str]:
    return [one.name for one in listing.one_a_module(package, folder, base, besides=("base",))]


def of_the_host(package: str, folder: Iterable[str], base: type[Any]) -> list[str]:
    return list(on_the_host.one_a_module(package, folder, base, ("base",)))


@pytest.fixture(params=[of_the_control_machine, of_the_host], ids=lambda f: f.__name__)
def names(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    def found(**modules: str) -> list[str]:
        package = tmp_path / f"shelf_{len(sys.modules)}"
        package.mkdir()
        for name, text in {"__init__": "", "base": BASE, **modules}.items():
            (package / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        base = __import__(f"{package.name}.base", fromlist=["Thing"]).Thing
        listed: list[str] = request.param(package.name, [str(package)], base)
        return listed

    return found


def thing(name: str) -> str:
    return f"from .base import Thing\nclass {name.title()}(Thing):\n    name = '{name}'\n"


def test_each_module_adds_the_one_thing_it_defines_in_the_order_of_their_names(names: Callable[..., list[str]]) -> None:
    assert names(screw=thing("screw"), nail=thing("nail")) == ["nail", "screw"]


@pytest.mark.parametrize(
    "text",
    ["", "from .base import Thing\n", thing("nail"), thing("nut") + thing("bolt")],
    ids=["nothing", "the base class alone", "one of another name", "two"],
)
def test_a_module_that_adds_anything_else_is_refused_by_its_name(names: Callable[..., list[str]], text: str) -> None:
    with pytest.raises((LabError, ImportError), match=r"shelf_\d+\.nut"):
        names(nut=text)
