"""Makes hostile input from good input, by a source of random numbers that hypothesis may hold, or nobody."""

from collections.abc import Sequence
from random import Random

# What has broken parsers before: ends of strings, numbers that do not fit, templates, shells, terminals, paths.
TOKENS: tuple[bytes, ...] = (
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\x1b[2J\x1b]0;x\x07",
    b"9" * 19,
    b"9" * 5000,
    b"-1",
    b"-" * 40,
    b"1e999",
    b"NaN",
    b"0x" + b"f" * 4000,
    b"1:59" * 30,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"[" * 3000,
    b"{" * 3000,
    b'"\\ud800"',
    b"{{ lookup('pipe','id') }}",
    b"{% raw %}",
    b"$(id)",
    b"`id`",
    b"; reboot",
    b"</script><script>alert(1)</script>",
    b"=cmd|' /C calc'!A0",
    b"../" * 8,
    b"/etc/passwd",
    b"CON",
    b"\xd0\xb0\xd1\x81",
    b"a" * 300,
    b"&a [*a,*a]",
    b"!!python/object/apply:os.system [id]",
    b"<<: *a",
    b"? ",
    b"- - - -",
    b"|\n  x\n",
    b"schema_version",
)
_MOST_CHANGES = 6
_LARGEST = 1 << 16


def mutate(samples: Sequence[bytes], random: Random) -> bytes:
    """Return a sample with some changes, or bytes of no sample at all."""
    if random.random() < 0.1:
        return bytes(random.randrange(256) for _ in range(random.randrange(200)))
    data = bytearray(random.choice(samples))
    for _ in range(random.randrange(1, _MOST_CHANGES + 1)):
        _change(data, samples, random)
    return bytes(data[:_LARGEST])


def _change(data: bytearray, samples: Sequence[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    to = min(len(data), at + random.randrange(1, 40))
    kind = random.randrange(8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        del data[at:to]
    elif kind == 2:
        data[at:at] = data[at:to] * random.randrange(1, 4)
    elif kind == 3:
        data[at:to] = random.choice(TOKENS)
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        other = random.choice(samples)
        begin = random.randrange(len(other) + 1)
        data[at:at] = other[begin : begin + 200]
    else:
        data[at:at] = random.choice(TOKENS)
