"""Two runs side by side: what differs around them, and what their responses say. Pure: values in, values out.

Separate runs are weaker evidence than one interleaved run: whatever changed
between them is in every ratio, and no interval can hold it.
"""

from cgidlab.compare.environment import Difference, Side, differences, refuse, suggestion
from cgidlab.compare.ratios import MIN_TRIALS, Earlier, Ratio, common_cells, ratios

__all__ = [
    "MIN_TRIALS",
    "Difference",
    "Earlier",
    "Ratio",
    "Side",
    "common_cells",
    "differences",
    "ratios",
    "refuse",
    "suggestion",
]
