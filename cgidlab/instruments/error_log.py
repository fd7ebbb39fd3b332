"""logs/error_log: what mod_cgid wrote of its retries, and whether its LogLevel lets it write them."""

from datetime import timedelta, timezone

from cgidlab import rundir
from cgidlab.instruments import controls
from cgidlab.instruments.base import Evidence, Instrument
from cgidlab.instruments.controls import Expectation, Kind, quiet, some
from cgidlab.model import Figures, Settings

_DEBUG = ("debug", *(f"trace{n}" for n in range(1, 9)))
_OWN_NAMES = ("cgid", "cgid_module", "mod_cgid.c")


def retries_are_logged(settings: Settings) -> bool:
    """Say whether mod_cgid's retry lines reach the log: by LogLevel, or by a patch that may raise their level."""
    if settings.get("patches"):
        return True
    words = str(settings.get("log_level", "debug")).split()
    general = [w for w in words if ":" not in w]
    own = [level for module, _, level in (w.partition(":") for w in words) if level and module in _OWN_NAMES]
    level = (own or general or ["warn"])[-1]
    return level.lower() in _DEBUG


def _no_retry(figures: Figures) -> str:
    """Return why there is nothing to see: httpd before 2.4.13 answers 503 at once where the socket is missing."""
    return "this httpd does not retry without a socket" if figures.gave_up_503 else ""


class ErrorLog(Instrument):
    """httpd's own log, which is there in every trial."""

    name = "error_log"
    optional = False
    expectations = (
        quiet(controls.FULL, "no retry line", "retries_in_window"),
        Expectation(
            controls.REFUSED,
            Kind.POSITIVE,
            "retry lines with ECONNREFUSED",
            some("retries_refused_in_window"),
            ("retries_refused_in_window",),
        ),
        Expectation(
            controls.MISSING,
            Kind.POSITIVE,
            "retry lines with ENOENT",
            some("retries_enoent_in_window"),
            ("retries_enoent_in_window",),
            _no_retry,
        ),
        quiet(controls.IDLE, "no retry line", "retries_in_window"),
    )

    def figures(self, evidence: Evidence) -> Figures:
        """Return what mod_cgid logged of its retries, None where its LogLevel hides them.

        The retry line is written at level debug, so an empty log proves nothing
        at level warn.
        """
        from cgidlab.parsers.error_log import MISSING, REFUSED, Window, parse_error_log  # noqa: PLC0415 -- loads numpy

        path = evidence.directory / "logs/error_log"
        if not rundir.is_there(path):
            return Figures()
        clock, window = evidence.result.clock, evidence.window
        begin, end = (clock.to_realtime_ns(edge) for edge in (window.begin_ns, window.end_ns))
        log = parse_error_log(path, Window(begin, end), zone=_zone(evidence.settings), open_stream=rundir.opened)
        outside = log.before.total + log.after.total
        if not log.inside.total and not outside and not retries_are_logged(evidence.settings):
            evidence.note(self.name, "LogLevel hides mod_cgid's retry lines")
            return Figures()
        return Figures(
            retries_in_window=log.inside.total,
            retries_refused_in_window=log.inside.by_errno[REFUSED],
            retries_enoent_in_window=log.inside.by_errno[MISSING],
            retries_outside_window=outside,
            enoent_per_reload=log.inside.by_errno[MISSING] / evidence.reloads if evidence.reloads else None,
        )


def _zone(settings: Settings) -> timezone:
    """Return the zone of the log's times: UTC in a trial, the host's own on a server that was watched."""
    return timezone(timedelta(seconds=float(settings.get("log_utc_offset_s", 0))))
