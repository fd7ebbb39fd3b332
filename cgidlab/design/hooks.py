"""The user's own programs that are run in watched trials, on the server's host: which, and with what words."""

from cgidlab.design.specform import HooksForm
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.design.systems import OWN_SCRIPTS
from cgidlab.errors import SpecError

_MOST_WORDS, _LONGEST_WORD = 100, 4000

Commands = tuple[tuple[str, tuple[str, ...]], ...]


def commands(document: Document, form: HooksForm) -> Commands:
    """Return when each hook runs, and its command. Raise `SpecError` for what no program can be started by."""
    found = []
    for event in HooksForm.model_fields:
        written = getattr(form, event)
        if written is not None:
            words = (written,) if isinstance(written, str) else tuple(written)
            _check(document, ("hooks", event), words)
            found.append((event, words))
    return tuple(found)


def _check(document: Document, path: KeyPath, words: tuple[str, ...]) -> None:
    where = document.where(path)
    fix = 'write it as a list, such as [perf, record, -a], or name a program of yours: "path:FILE"'
    if not words or not words[0] or len(words) > _MOST_WORDS or any(len(word) > _LONGEST_WORD for word in words):
        raise SpecError(f"`{path[-1]}` is no command", where=where, fix=fix)
    program = words[0]
    if any("\0" in word for word in words) or (len(words) == 1 and program.split() != [program]):
        raise SpecError(f"`{program}` is no program, and no shell reads it", where=where, fix=fix)
    if "/" in program and not program.startswith(("/", OWN_SCRIPTS)):
        raise SpecError(
            f"`{program}` is neither a name nor an absolute path on the host",
            where=where,
            fix=f'use "{OWN_SCRIPTS}{program}" for a program beside the experiment file',
        )


def told(found: Commands) -> str:
    """Return them in words, "" where there is none."""
    return "; ".join(f"{event} {' '.join(words)}" for event, words in found)
