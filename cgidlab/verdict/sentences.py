"""A line of a verdict as data: a topic, and sentences that name a template and the values in it.

Terminal, report, Markdown and JSON say the same by it, in English or another of LANGUAGES.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cgidlab.verdict import japanese, templates

LANGUAGES = ("en", "ja")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thought: a template of `templates.EN` and what goes in."""

    template: str
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """Return it in English."""
        return templates.EN[self.template].format_map(self.values)

    def text_in(self, language: str) -> str:
        """Return it in one of LANGUAGES."""
        return japanese.sentence(self.template, self.values) if language == "ja" else self.text


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """One answer of the verdict."""

    topic: str  # a key of `templates.TOPICS`
    sentences: tuple[Sentence, ...]

    @property
    def name(self) -> str:
        """Return the topic in English."""
        return templates.TOPICS[self.topic]

    @property
    def text(self) -> str:
        """Return all sentences in English."""
        return " ".join(s.text for s in self.sentences)

    def told_in(self, language: str) -> tuple[str, str]:
        """Return topic and sentences in one of LANGUAGES."""
        if language == "en":
            return self.name, self.text
        return japanese.TOPICS[self.topic], "".join(s.text_in(language) for s in self.sentences)


def say(template: str, **values: str) -> Sentence:
    """Return a sentence of one of `templates.EN`."""
    return Sentence(template, values)
