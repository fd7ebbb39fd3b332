"""A trial that came home, from its archive to its record.

The outcome is written last, and without it the trial was not done.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from cgidlab.model import NoisePolicy, Trial, TrialRecord
from cgidlab.runs import harvest, records, store
from cgidlab.runs.store import RunDirectory


def keep(
    run: RunDirectory,
    trial: Trial,
    host: str,
    environment: str,
    noise: NoisePolicy,
    archive: Path,
    load: Path | None = None,
) -> TrialRecord:
    """Unpack, measure and judge one trial, and remove what it came in.

    Raises `BadArchive` for one of which nothing can be kept, `StoreError` where this machine is to blame.
    """
    directory = run.trials / trial.directory
    try:
        harvest.unpack(archive, directory, store.trial_json(trial, host, environment), load)
    except harvest.BadArchive:
        with suppress(OSError):  # it may not even be a file
            archive.unlink()  # nobody reads it, and it may be large
        raise
    levels = [name for name, _ in trial.cell.levels]
    store.write_outcome(directory, records.judge(directory, trial.key, noise, levels))
    archive.unlink()
    if load is not None:
        shutil.rmtree(load)
    return records.load(run.path, store.read_trial(directory))
