"""How long it takes until trials begin: foretold by earlier runs on these hosts, and noted for later ones."""

import time

from cgidlab.model import Plan
from cgidlab.progress import Display, duration
from cgidlab.runs import store
from cgidlab.runs.store import RunDirectory


class Foretelling:
    """What a user is told of the time before trials, stage by stage: hosts provisioned, then their witnesses proven."""

    def __init__(self, plan: Plan, run: RunDirectory, display: Display, trials_s: float) -> None:
        """Begin with provisioning. `trials_s` is what the trials will take behind all that, on one host."""
        from cgidlab.runs.expecting import made_ready  # noqa: PLC0415 -- scipy takes a second to load

        self._plan, self._run, self._display, self._one_host_s = plan, run, display, trials_s
        known = made_ready(plan, run.path.parent.parent)
        self._calibrated_s = known.calibrated_s if known else 0.0
        self._began_s = time.monotonic()
        self.provisioned_s = 0.0
        behind_s = trials_s / known.hosts if known else trials_s
        said = f"about {duration(behind_s)} of trials"
        if known is None:
            display.say(f"{said}; how long hosts take to be made ready is not known here yet")
            return
        ready_s = known.provisioned_s + known.calibrated_s
        display.stage(known.provisioned_s, later_s=known.calibrated_s + behind_s)
        display.say(
            f"about {duration(ready_s + behind_s)} left: {duration(ready_s)} until trials begin, as in the "
            f"last runs here, and {said}"
        )

    def calibrating(self, hosts: int) -> None:
        """Go on to the witnesses of so many hosts."""
        self.provisioned_s = time.monotonic() - self._began_s
        self._display.stage(self._calibrated_s, later_s=self._one_host_s / hosts)

    def over(self, hosts: int) -> None:
        """Hand over to the trials, and note what all that took."""
        calibrated_s = time.monotonic() - self._began_s - self.provisioned_s
        self._display.stage(None, later_s=0.0)
        took = {
            "target": self._plan.experiment.target,
            "builds": sorted({str(cell.settings["httpd"]) for cell in self._plan.cells}),
            "hosts": hosts,
            "provisioned_s": round(self.provisioned_s, 1),
            "calibrated_s": round(calibrated_s, 1),
        }
        self._run.set_state(store.RUNNING, **{store.MADE_READY: took})
