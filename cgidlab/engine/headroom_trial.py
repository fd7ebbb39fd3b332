"""The trials that measure what the driver can do when no CGI is in its way: once a run, beside a block."""

from cgidlab.design.plan import trial_key
from cgidlab.engine.blocks import Beside
from cgidlab.engine.loading import Loaded
from cgidlab.model import Cell, Level, Settings, Trial
from cgidlab.runs.headroom import FACTOR, directory
from cgidlab.runs.store import RunDirectory

_FIRST = 1_000_001  # its number in a block; no trial of a run has one like it
_LOAD: Settings = {
    # Whatever the run's trials do to the host: this one is to change nothing there.
    "isolation": "namespaces",
    "script": "static",
    "requests": "",
    "loop": "closed",
    "fault": "none",
    "warmup_s": 0.3,
    "window_s": 1.5,
    "log_level": "warn",  # a line a request would be measured with it
    "host": True,
}


def beside(loaded: Loaded, run: RunDirectory, host: str) -> Beside:
    """Return a trial a driver, for a block to end with: the driver asks for a static file of the same httpd.

    It has the most clients that the run will have, and is kept below `headroom/`.
    """
    return Beside(directory(run, host), _trials(loaded))


def _trials(loaded: Loaded) -> tuple[Trial, ...]:
    """Return a trial a driver: the settings of the cell with the most clients, without its instruments and its CGI."""
    most: dict[str, Settings] = {}
    for cell in loaded.plan.cells:
        driver = str(cell.settings[FACTOR])
        if driver not in most or int(cell.settings["clients"]) > int(most[driver]["clients"]):
            most[driver] = cell.settings
    off = dict.fromkeys(loaded.plan.experiment.instruments, False)
    cells = [
        Cell(f"{FACTOR}={driver}", ((FACTOR, Level(driver, driver)),), {**settings, **off, **_LOAD})
        for driver, settings in sorted(most.items())
    ]
    return tuple(Trial(n, 1, cell, trial_key(cell, 1)) for n, cell in enumerate(cells, start=_FIRST))
