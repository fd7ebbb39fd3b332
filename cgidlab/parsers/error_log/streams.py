"""The text of a stream as UTF-8. The only module that knows UTF-16, in which Windows saves a log."""

import codecs
import io

from cgidlab.unpack import Begun, Stream

_HEAD = 4
_PIECE = 1 << 16


def as_utf8(stream: Stream) -> Stream:
    """Return the same text; if it is UTF-16, as UTF-8."""
    head = bytearray(_HEAD)
    count = 0
    while count < _HEAD and (more := stream.readinto(memoryview(head)[count:])):
        count += more
    encoding = _encoding(bytes(head[:count]))
    begun = Begun(bytes(head[:count]), stream)
    return _Recoded(begun, encoding) if encoding else begun


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) == _HEAD and all(head[::2]) and not any(head[1::2]):
        return "utf-16-le"
    if len(head) == _HEAD and all(head[1::2]) and not any(head[::2]):
        return "utf-16-be"
    return ""


class _Recoded:
    """A stream in UTF-8 of one in another encoding; what is none of its characters becomes U+FFFD."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._piece = bytearray(_PIECE)
        self._ready = io.BytesIO()
        self._ended = False

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return how many bytes, 0 at the end."""
        while not (count := self._ready.readinto(buffer)) and not self._ended:
            read = self._stream.readinto(memoryview(self._piece)) or 0
            self._ended = not read
            text = self._decoder.decode(bytes(self._piece[:read]), final=self._ended)
            self._ready = io.BytesIO(text.encode(errors="replace"))
        return count
