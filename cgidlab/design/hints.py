"""What a wrong word was meant to be: by its meaning first, and by likeness only where two words are nearly the same."""

import difflib
import re
from collections.abc import Collection, Mapping

from cgidlab.errors import SpecError
from cgidlab.starting import command

# Below it the nearest word is another word: `duration` and `isolation` are alike to 0.71.
_LIKENESS = 0.75
_MANY = 12  # words in one line of an error
_DIRECTIVE = re.compile(r"(?:[A-Z][a-z0-9]+){2,}")

FILE_KEYS: dict[str, tuple[str, ...]] = {
    "schema_version": ("version", "schema"),
    "name": ("experiment", "id"),
    "question": ("title", "description", "ask", "why"),
    "target": ("host", "hosts", "inventory", "server"),
    "factors": ("factor", "matrix", "parameters", "levels", "variables", "vary", "axes"),
    "settings": ("options", "config", "fixed", "set", "vars", "constants"),
    "load": (),
    "warmup_s": (),
    "window_s": (),
    "exclude": ("skip", "except", "without", "excludes"),
    "repetitions": ("runs", "reps", "repeat", "repeats", "trials", "iterations", "blocks", "samples", "count"),
    "passes": ("pass",),
    "watch_every": ("watch", "watched", "watched_every", "observe_every"),
    "seed": ("random_seed", "rng"),
    "instruments": ("witnesses", "probes", "monitors", "observe"),
    "noise": ("sentinel", "disturbed"),
    "limits": ("bottleneck", "interventions", "what_limits"),
    "verdict": ("rule", "decision", "analysis", "response", "responses", "reference", "smallest_effects"),
    "require": ("required", "thresholds", "threshold", "slo", "slos", "assert", "promise"),
    "hooks": (
        "hook",
        "scripts",
        "commands",
        "perf",
        "profile",
        "callbacks",
        "before_trial",
        "during_window",
        "after_trial",
    ),
    "search": ("find", "limit", "capacity", "searching", "bisect"),
}
"""The keys of an experiment file, and what people call them."""

ARRIVALS: dict[str, tuple[str, ...]] = {
    "constant": ("even", "uniform", "fixed"),
    "poisson": ("exponential", "random", "memoryless"),
    "bursts": ("burst", "bursty", "spike", "spikes"),
    "ramp": ("ramping", "ramp_up", "linear"),
    "stages": ("stage", "steps", "step", "staircase"),
}
"""The ways in which requests may arrive, and what people call them."""

_FOLLOWS = {
    "use `burst_requests` and `rate`: so many come at once, every burst_requests / rate seconds": (
        *("burst_every_s", "burst_interval", "burst_interval_s", "burst_period", "burst_period_s", "burst_delay"),
        *("burst_rate", "spike_every_s", "every_s"),
    ),
}
"""What is no option because it follows from others: what to do, and the words for it."""


def unknown(
    what: str,
    name: str,
    known: Collection[str],
    where: str,
    *,
    also: Mapping[str, Collection[str]] | None = None,
    elsewhere: str = "",
) -> SpecError:
    """Return the error for a word that is not one of `known`.

    `also` has what else people call them. `elsewhere` is what to do if the word stands for something that is
    written in another place. A word that is neither meant nor nearly written is not guessed at.
    """
    found = meant(name, {word: names for word, names in (also or {}).items() if word in known})
    near = {_plain(word): word for word in known}
    written = difflib.get_close_matches(_plain(name), near, n=1, cutoff=_LIKENESS)
    if found or (elsewhere == "" and written):
        fix = f"use `{found or near[written[0]]}`"
    elif elsewhere:
        fix = elsewhere
    elif len(known) <= _MANY:
        fix = f"use one of: {', '.join(f'`{word}`' for word in sorted(known))}"
    else:
        fix = f"see which there are with: {command('options')}"
    return SpecError(f"{what} `{name}`", where=where, fix=fix)


def meant(name: str, words: Mapping[str, Collection[str]]) -> str:
    """Return the word that a name stands for: itself or one of the names that go with it; "" for none."""
    exact = (word for word, names in words.items() if name in (word, *names))  # ListenBackLog is no listen_backlog
    alike = (word for word, names in words.items() if _plain(name) in map(_plain, (word, *names)))
    return next(exact, "") or next(alike, "")


def key_of_the_file(name: str) -> str:
    """Return what to do about a key of the file that stands for an option, "" if it is none."""
    key = meant(name, FILE_KEYS)
    return f"`{key}` is a key of the file and no option: write it at the left margin of the file" if key else ""


def no_choice(option: str, value: str, choices: Collection[str], where: str) -> SpecError:
    """Return the error for a value that is none of an option's choices."""
    ways = ARRIVALS if option in ("arrivals", "loop") else {}
    way = meant(value, ways)
    elsewhere = f"use `loop: open` and `arrivals: {way}`" if option == "loop" and way else ""
    return unknown(f"`{option}` does not take", value, choices, where, also=ways, elsewhere=elsewhere)


def follows(name: str) -> str:
    """Return what to do about a word for what follows from other options, "" if it is none."""
    return next((do for do, names in _FOLLOWS.items() if meant(name, {do: names})), "")


def directive(name: str) -> str:
    """Return what to do about a directive of httpd that is no option, "" if it does not look like one."""
    if not _DIRECTIVE.fullmatch(name):
        return ""
    return f'use `extra_directives: "{name} VALUE"`, which adds lines to httpd.conf'


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word).lower()
