"""The order of the stages. The only package that knows it."""

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
