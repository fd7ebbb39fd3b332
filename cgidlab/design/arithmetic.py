"""Arithmetic on factors: what `clients * 2` and `clients > 2 * workers` are in a cell.

Python's grammar is read and none of it is run: numbers, names of factors, + - * / // %, min and max; in a condition
also comparisons, texts to compare with, and, or, not. Everything else is refused.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cgidlab.design import hints
from cgidlab.errors import SpecError
from cgidlab.model import Scalar

BEGINS = "="
"""The first character of a setting that is derived from factors."""

_MOST_CHARACTERS = 200
_LARGEST = 2**53  # beyond it a float is no longer every whole number
_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDERS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {"min": min, "max": max}
_MEANT = "numbers, factors, + - * / // %, min and max"


class NoValue(Exception):  # noqa: N818 -- no fault: in this cell there is none, and who asked says where
    """A formula has no value for some levels; the message says why."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read: which factors it names, and what it is for their levels."""

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def number(self, values: Mapping[str, Scalar]) -> float:
        """Return its value, whole where it is. Raise `NoValue` where it has none."""
        found = _value(self._tree, values)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise NoValue("this is no number")
        if not -_LARGEST <= found <= _LARGEST:
            raise NoValue("the number is too large")
        return int(found) if found == int(found) else found

    def holds(self, values: Mapping[str, Scalar]) -> bool:
        """Say whether it is so. Raise `NoValue` where that cannot be said."""
        return _truth(_value(self._tree, values))


def read(text: str, known: Collection[str], where: str, *, elsewhere: Mapping[str, str] | None = None) -> Formula:
    """Return a formula. `known` are the factors; `elsewhere` says of other names what to do about them.

    Raise `SpecError` for what is no arithmetic on factors.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SpecError(f"a formula has {_MOST_CHARACTERS} characters at most", where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forms that Python wonders at, and that are refused below
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as err:
        raise SpecError(f"`{text}` is no formula", where=where, fix=f"use {_MEANT}") from err
    names: dict[str, None] = {}
    _check(tree, text, where, names)
    for name in names:
        if name not in known:
            raise hints.unknown("no factor is called", name, known, where, elsewhere=(elsewhere or {}).get(name, ""))
    if not names:
        raise SpecError(f"`{text}` names no factor", where=where, fix="write the value itself")
    return Formula(text, tuple(names), tree)


def _check(node: ast.expr, text: str, where: str, names: dict[str, None]) -> None:
    """Refuse every kind of node that has no meaning here; note the names."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name(id=name):
            names[name] = None
            return
        case ast.BinOp(op=op) if type(op) in _OPERATIONS:
            parts = [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            parts = [node.operand]
        case ast.BoolOp():
            parts = node.values
        case ast.Compare(ops=ops) if all(type(op) in _ORDERS or isinstance(op, ast.Eq | ast.NotEq) for op in ops):
            parts = [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=name), args=[_, _, *_], keywords=[]) if name in _FUNCTIONS:
            parts = node.args
        case _:
            raise SpecError(f"`{ast.unparse(node)}` is no arithmetic on factors", where=where, fix=f"use {_MEANT}")
    for part in parts:
        _check(part, text, where, names)


def _value(node: ast.expr, values: Mapping[str, Scalar]) -> Scalar:  # noqa: PLR0911 -- one a kind of node
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp():
            left, right = _number(_value(node.left, values)), _number(_value(node.right, values))
            try:
                return _OPERATIONS[type(node.op)](left, right)
            except (ZeroDivisionError, OverflowError) as err:
                raise NoValue("it divides by 0" if isinstance(err, ZeroDivisionError) else "it is too large") from err
        case ast.UnaryOp(op=ast.Not()):
            return not _truth(_value(node.operand, values))
        case ast.UnaryOp():
            return -_number(_value(node.operand, values))
        case ast.BoolOp():
            said = [_truth(_value(part, values)) for part in node.values]
            return all(said) if isinstance(node.op, ast.And) else any(said)
        case ast.Compare():
            chain = [_value(part, values) for part in (node.left, *node.comparators)]
            return all(_compared(op, a, b) for op, a, b in zip(node.ops, chain[:-1], chain[1:], strict=True))
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*(_number(_value(part, values)) for part in node.args))
    raise NoValue("this has no meaning here")  # `_check` let no other node in


def _compared(op: ast.cmpop, one: Scalar, other: Scalar) -> bool:
    if isinstance(op, ast.Eq | ast.NotEq):
        if _kind(one) is not _kind(other):
            raise NoValue(f"{one!r} and {other!r} are of two kinds")
        return (one == other) is isinstance(op, ast.Eq)
    return _ORDERS[type(op)](_number(one), _number(other))


def _kind(value: Scalar) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _number(value: Scalar) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoValue(f"{value!r} is no number")
    return value


def _truth(value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise NoValue(f"{value!r} is neither true nor false")
    return value
