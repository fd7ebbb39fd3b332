"""Two runs side by side: what differs around them, and what their responses say. Pure: values in, values out.

Separate runs are weaker evidence than one interleaved run: whatever changed
between them is in every ratio, and no interval can hold it.
"""

from cgidlab.compare.differing import Difference
from cgidlab.compare.fields import Recorded
from cgidlab.compare.ratios import MIN_TRIALS, Earlier, Ratio, common_cells, ratios
from cgidlab.compare.suggesting import suggestion

__all__ = ["MIN_TRIALS", "Difference", "Earlier", "Ratio", "Recorded", "common_cells", "ratios", "suggestion"]
