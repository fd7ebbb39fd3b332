"""A variant of mod_cgid as its options say, so that a test names only what it is about."""

from pathlib import Path

from cgidlab.design import catalogue
from cgidlab.model import Scalar

ROLES = Path(__file__).parents[1] / "roles"


def compiled(options: catalogue.Catalogue | None = None, **changes: Scalar) -> dict[str, Scalar]:
    """Return every compile-time option of mod_cgid at its default, with some changed."""
    known = options or catalogue.load(ROLES)
    defaults = known.defaults()
    return {name: defaults[name] for name in known.of_roles("cgid")} | changes
