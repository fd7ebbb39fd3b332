"""Packs the host's helper into one file that Python runs, alone or with what the exporter needs."""

import zipfile
from collections.abc import Mapping
from importlib import metadata
from io import BytesIO
from pathlib import Path, PurePosixPath

from cgidlab.errors import ProvisionError

# Unpacked beside itself it is compiled once and not at each start, which takes half of the time of one.
UNPACKED = ".unpacked"
_MAIN = f"""\
import sys
sys.path.insert(0, __file__.rpartition("/")[0] + "{UNPACKED}")
from cgidhost.__main__ import main
sys.exit(main())
""".encode()
_LIBRARY = "prometheus_client"
# For frameworks and servers that no host of ours has.
_NOT_WANTED = {"aiohttp", "bridge", "django", "twisted"}


def pack_helper(package: Path) -> bytes:
    """Return the helper as one program, byte for byte the same for the same sources."""
    return _zipped(_helper(package))


def pack_exporter(package: Path) -> bytes:
    """Return the same with the client library of Prometheus; raise `ProvisionError` where that is not installed."""
    try:
        listed = metadata.files(_LIBRARY) or []
    except metadata.PackageNotFoundError as err:
        raise ProvisionError(f"{_LIBRARY} is not installed", where="the exporter", fix="make setup") from err
    library = {
        str(path): Path(path.locate()).read_bytes()
        for path in listed
        if _is_wanted(PurePosixPath(path)) and Path(path.locate()).is_file()
    }
    return _zipped({**_helper(package), **library})


def _is_wanted(path: PurePosixPath) -> bool:
    code = path.parts[0] == _LIBRARY and path.suffix == ".py" and path.parts[1] not in _NOT_WANTED
    return code or path.stem in ("LICENSE", "NOTICE")


def _helper(package: Path) -> dict[str, bytes]:
    return {f"cgidhost/{path.relative_to(package)}": path.read_bytes() for path in package.rglob("*.py")}


def _zipped(content: Mapping[str, bytes]) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for name, data in sorted(content.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()
