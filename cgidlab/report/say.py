"""What a report says in another language: English is the text itself, every other language a table by that text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cgidlab.errors import SpecError
from cgidlab.report import japanese
from cgidlab.verdict import japanese_parts

ENGLISH = "en"
# What report and verdict both say stands with the verdict.
TABLES: Mapping[str, Mapping[str, str]] = {"ja": {**japanese_parts.PARTS, **japanese.TEXTS}}
LANGUAGES = (ENGLISH, *TABLES)
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Say:
    """Says a report's own texts in one of LANGUAGES. What comes from a run (labels, reasons) is never translated."""

    language: str = ENGLISH

    def __post_init__(self) -> None:
        """Refuse a language that there is no table of."""
        if self.language not in LANGUAGES:
            raise SpecError(
                f"no report can be said in `{self.language}`", where="--lang", fix=f"use {' or '.join(LANGUAGES)}"
            )

    def __call__(self, text: str, **values: object) -> str:
        """Return a text with its fields filled in: `{name}` is `values["name"]`.

        A text that the language's table lacks stays English; a test finds those.
        """
        template = TABLES[self.language].get(text, text) if self.language != ENGLISH else text
        return _FIELD.sub(lambda found: str(values[found[1]]), template) if values else template


IN_ENGLISH = Say()
