"""The order of the stages. The only package that knows it.

What the verbs use is looked up here by name and imported then: `validate` and `plan` need not wait
a second for what analyses a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cgidlab.pipeline.concluding import Concluded, as_text, conclude
    from cgidlab.pipeline.loading import Loaded, Request, load_plan
    from cgidlab.pipeline.readying import How
    from cgidlab.pipeline.recovering import Recovered, recover
    from cgidlab.pipeline.running import Ended, resume, run

__all__ = [
    "Concluded",
    "Ended",
    "How",
    "Loaded",
    "Recovered",
    "Request",
    "as_text",
    "conclude",
    "load_plan",
    "recover",
    "resume",
    "run",
]

_HOMES = {
    "Concluded": "concluding",
    "Ended": "running",
    "How": "readying",
    "Loaded": "loading",
    "Recovered": "recovering",
    "Request": "loading",
    "as_text": "concluding",
    "conclude": "concluding",
    "load_plan": "loading",
    "recover": "recovering",
    "resume": "running",
    "run": "running",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
