"""Lines of whole numbers: the only module that turns such text into arrays and counts the lines that are not."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgidlab import rundir
from cgidlab.arrays import Ints, np
from cgidlab.errors import StoreError

ABSENT = -1  # stands for an empty field where one is allowed
_MAX_DIGITS = 18  # more do not fit an int64 for certain
_NEWLINE, _MINUS = 10, 45

MAX_ROWS = 50_000_000  # 14 hours of 1,000 requests a second
_PIECE_BYTES = 1 << 24
_HEAD_BYTES = 1 << 10


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length and the number of lines that could not be read."""

    columns: tuple[Ints, ...]
    bad_lines: int


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file of lines in pieces of whole lines, the last one perhaps without its newline.

    Memory is that of a piece, whatever the file: of a line longer than a piece
    the beginning alone comes, as a piece of its own. Raises `StoreError` as `read` does.
    """
    kept = b""
    skipping = False
    with rundir.opened(path) as file:
        while data := file.read(_PIECE_BYTES):
            if skipping:
                _, newline, data = data.partition(b"\n")
                if not newline:
                    continue
                skipping = False
            end = data.rfind(b"\n") + 1
            if end:
                yield kept + data[:end]
                kept = data[end:]
            elif len(kept) + len(data) > _PIECE_BYTES:
                yield (kept + data)[:_HEAD_BYTES] + b"\n"
                kept, skipping = b"", True
            else:
                kept += data
    if kept:
        yield kept


def check_rows(count: int, path: Path) -> None:
    """Raise `StoreError` for more rows than a trial can have, before they fill the memory."""
    if count > MAX_ROWS:
        raise StoreError(f"the file has more than {MAX_ROWS:,} rows, which no trial writes", where=str(path))


def parse(data: bytes, *, separator: bytes, fields: int, optional: Sequence[int] = ()) -> Table:
    """Return the columns of `data`, one int64 array each.

    A line counts as bad unless it is exactly `fields` whole numbers of at most
    18 digits; fields whose index is in `optional` may be empty and are then
    `ABSENT`. A last line without its newline is bad whatever it holds: its last
    number may have been cut.
    """
    end = data.rfind(b"\n") + 1
    cut = 1 if end < len(data) else 0
    whole = data[:end]
    if _is_clean(whole, separator, fields):
        return Table(_numbers(whole, separator, fields), cut)
    number = rb"-?\d{1,%d}" % _MAX_DIGITS
    cells = [rb"(?:%s)?" % number if i in optional else number for i in range(fields)]
    sep = re.escape(separator)
    good = re.findall(rb"(?m)^" + sep.join(cells) + rb"\n", whole)
    kept = b"".join(good)
    if optional:
        kept = re.sub(rb"(?m)(?:^|(?<=%s))(?=%s|\n)" % (sep, sep), b"%d" % ABSENT, kept)
    return Table(_numbers(kept, separator, fields), cut + whole.count(b"\n") - len(good))


def parse_csv(
    data: bytes, columns: Sequence[str], *, where: str, optional: Sequence[str] = (), added: Sequence[str] = ()
) -> Table:
    """Return the named columns of a CSV file of whole numbers, in the order asked for.

    A file without a byte has no rows. Columns that were `added` to the format are wholly `ABSENT`
    in older files, and may have empty fields. Raise `StoreError` if the header lacks any other column.
    """
    header, _, body = data.partition(b"\n")
    if not data:
        return Table(tuple(np.empty(0, np.int64) for _ in columns), 0)
    names = header.decode(errors="replace").rstrip("\r").split(",")
    missing = [name for name in columns if name not in names and name not in added]
    if missing:
        raise StoreError(f"the header lacks {', '.join(missing)}", where=where)
    table = parse(
        body,
        separator=b",",
        fields=len(names),
        optional=[i for i, name in enumerate(names) if name in (*optional, *added) or name not in columns],
    )
    none = np.full_like(table.columns[0], ABSENT)
    found = tuple(table.columns[names.index(name)] if name in names else none for name in columns)
    return Table(found, table.bad_lines)


def _is_clean(data: bytes, separator: bytes, fields: int) -> bool:
    """Say whether every line is `fields` non-empty numbers, without a step of Python per line."""
    if data.translate(None, b"-0123456789\n" + separator):
        return False
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((text == separator[0]) | (text == _NEWLINE))
    if len(ends) % fields or not np.array_equal(ends[fields - 1 :: fields], np.flatnonzero(text == _NEWLINE)):
        return False
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    width = ends - starts
    if not len(width):
        return True
    if width.min() < 1 or width.max() > _MAX_DIGITS:
        return False
    minus = np.flatnonzero(text == _MINUS)
    return not len(minus) or bool(np.isin(minus, starts[width > 1]).all())


def _numbers(data: bytes, separator: bytes, fields: int) -> tuple[Ints, ...]:
    if not data:
        return tuple(np.empty(0, np.int64) for _ in range(fields))
    flat = np.fromstring(data.replace(separator, b" ").decode("ascii"), dtype=np.int64, sep=" ")
    return tuple(np.ascontiguousarray(column) for column in flat.reshape(-1, fields).T)
