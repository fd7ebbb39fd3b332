"""Times as logs have them: httpd's own, syslog's, a collector's."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo

NO_TIME = -(2**63)
_LATEST_S = 9_000_000_000  # what fits in 64 bits of nanoseconds
_KEEP_MINUTES = 10_000
_BACK_S = 20 * 60  # lines are written out of order by seconds; more than this is the clock set back
_DAY_S = 86_400
_MONTHS = {m: n for n, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)}

_MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = rb"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\d:.]))?"
_EPOCH = rb"(?P<s>[12]\d{9})(?:\.(?P<part>\d{1,9})|(?P<more>\d{3}|\d{6}|\d{9}))?(?![\d.])"
_CTIME_MINUTE = re.compile(_MONTH + rb" (?P<day>[ \d]\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<year>\d{4})")
_ISO_MINUTE = re.compile(rb"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):")
_FORMS = tuple(
    re.compile(form)
    for form in (
        # httpd's own, and uWSGI's without brackets
        rb"[A-Z][a-z]{2} " + _MONTH + rb" (?P<day>[ \d]?\d) " + _CLOCK + rb" (?P<year>\d{4})\b",
        rb"\[(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d) " + _CLOCK + rb"\]",
        # a field of a JSON line
        rb'"_?_?REALTIME_TIMESTAMP" ?: ?"' + _EPOCH,
        rb'(?i:"[@_\w]*(?:time|timestamp|date|ts)") ?: ?"?(?:(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T ]'
        + _CLOCK
        + _ZONE
        + rb"|"
        + _EPOCH
        + rb")",
        # RFC 3339, nginx, php-fpm, Kibana, an access log
        rb"(?<![\d-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T ]" + _CLOCK + _ZONE,
        rb"(?<!\d)(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d) " + _CLOCK,
        rb"(?P<day>\d\d)-" + _MONTH + rb"-(?P<year>\d{4}) " + _CLOCK,
        _MONTH + rb" (?P<day>\d{1,2}), (?P<year>\d{4}) @ " + _CLOCK,
        rb"(?P<day>\d\d)/" + _MONTH + rb"/(?P<year>\d{4}):" + _CLOCK + _ZONE,
        # syslog's has no year
        rb"(?<![A-Za-z])" + _MONTH + rb" (?P<day>[ \d]\d) " + _CLOCK,
        rb'(?:^|[\s,"=])' + _EPOCH,
    )
)


Minute = tuple[int, int, int]  # day, hour, minute


class Calendar:
    """Turns what a log says into nanoseconds since 1970. Local times are of `zone`.

    Where an hour comes twice, the second one is meant if the log has already gone
    beyond it. A year that is not written is the last in which the moment is not
    later than `newest_s`, the day the log was written to last.
    """

    def __init__(self, zone: tzinfo, newest_s: float) -> None:
        self._zone = zone
        self.newest_s = newest_s
        self._minutes: dict[object, int] = {}  # a calendar is dear to ask, and many lines share a minute
        self._last_s = -_LATEST_S

    def minute_ns(self, year: int, month: int, at: Minute, zone: bytes = b"") -> int:
        """Return when a minute began, NO_TIME if there is no such minute."""
        key = (year, month, at, zone)
        found = self._minutes.get(key)
        if found is None:
            found = self._ask(*key)
            if found is None:
                return NO_TIME
        return found

    def read_ns(self, minute: bytes, *, ctime: bool) -> int:
        """Return when a minute of httpd's own began: "Nov 23 15:04:2026" (`ctime`) or "2026-11-23 15:04:"."""
        match = (_CTIME_MINUTE if ctime else _ISO_MINUTE).fullmatch(minute)
        if not match:
            return NO_TIME
        month = _MONTHS.get(match["month"]) or int(match["month"])
        return self.minute_ns(int(match["year"]), month, _minute(match.groupdict()))

    def find_ns(self, line: bytes) -> int:
        """Return the time a line bears, its own before that of what it is wrapped in; NO_TIME without one."""
        for form in _FORMS:
            found = form.search(line)
            if found:
                time_ns = self._moment(found.groupdict())
                if time_ns != NO_TIME:
                    return time_ns
        return NO_TIME

    def _moment(self, part: dict[str, bytes | None]) -> int:
        if epoch := part.get("s"):
            digits = (part.get("part") or part.get("more") or b"").ljust(9, b"0")
            return int(epoch) * 1_000_000_000 + int(digits)
        month = part["month"] or b""
        at = _minute(part)
        number = _MONTHS.get(month) or (int(month) if month.isdigit() else 0)
        second = int(part["second"] or b"0")
        if second >= 60:  # noqa: PLR2004 -- no minute has more, and a leap second is none to a clock
            return NO_TIME
        written = part.get("year")
        year = int(written) if written else self._year(number, at)
        begin = self.minute_ns(year, number, at, part.get("zone") or b"")
        if begin == NO_TIME:
            return NO_TIME
        return begin + second * 1_000_000_000 + int((part["fraction"] or b"").ljust(9, b"0"))

    def _year(self, month: int, at: Minute) -> int:
        newest = datetime.fromtimestamp(self.newest_s, self._zone)
        begin = self.minute_ns(newest.year, month, at)
        late = begin != NO_TIME and begin // 1_000_000_000 > self.newest_s + _DAY_S
        return newest.year - late

    def _ask(self, year: int, month: int, at: Minute, zone: bytes) -> int | None:
        try:
            local = datetime(year, month, *at, tzinfo=_offset(zone) if zone else self._zone)
            seconds, again = int(local.timestamp()), int(local.replace(fold=1).timestamp())
        except (ValueError, OverflowError):
            return None
        if abs(seconds) > _LATEST_S:
            return None
        twice = again > seconds
        if twice and self._last_s - seconds > _BACK_S:
            seconds = again
        self._last_s = seconds
        if not twice:
            if len(self._minutes) >= _KEEP_MINUTES:
                self._minutes.clear()
            self._minutes[year, month, at, zone] = seconds * 1_000_000_000
        return seconds * 1_000_000_000


def _minute(part: Mapping[str, bytes | None]) -> Minute:
    return int(part["day"] or b"0"), int(part["hour"] or b"0"), int(part["minute"] or b"0")


def _offset(zone: bytes) -> tzinfo:
    if zone in (b"Z", b"UTC", b"GMT"):
        return UTC
    digits = zone[1:].replace(b":", b"")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone.startswith(b"-") else offset)
