"""numpy, loaded when something is first computed with it, and the arrays that modules pass.

A registry imports every instrument and driver, whatever the verb, and importing numpy takes longer than all the rest
of a verb that only checks a file. A test counts what verbs load.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Flags", "Floats", "Ints", "np"]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
else:

    class _Numpy:
        """Stands for the module: a name is looked up there once."""

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever numpy has under that name
            value = getattr(import_module("numpy"), name)
            setattr(self, name, value)
            return value

    np = _Numpy()
    Ints = Floats = Flags = Any
