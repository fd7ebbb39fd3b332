"""The answer to the experiment's question, from its trials alone. Pure: values in, values out.

Five questions, five sentences: did the queue overflow, did workers retry, what
did it cost, what limits instead, what to do. The rules were fixed before the
run (`VerdictRule`); what is not known is said to be not known.
"""

from cgidlab.verdict.judge import Verdict, judge
from cgidlab.verdict.limits import Limit
from cgidlab.verdict.overflow import CellOverflow, Overflow
from cgidlab.verdict.requiring import cases, passes
from cgidlab.verdict.retrying import RetriesSeen
from cgidlab.verdict.summary import summary_json

__all__ = ["CellOverflow", "Limit", "Overflow", "RetriesSeen", "Verdict", "cases", "judge", "passes", "summary_json"]
