"""Packs the host's helper into one file that Python runs, alone or with what the exporter needs."""

import zipfile
from collections.abc import Mapping
from importlib import metadata
from io import BytesIO
from pathlib import Path, PurePosixPath

from cgidlab.errors import ProvisionError

# Unpacked beside itself it is compiled once and not at each start, which takes half of the time of one.
UNPACKED = ".unpacked"
_MAIN = "from cgidhost.__main__ import main\nimport sys\nsys.exit(main())\n"
_LOOKS_BESIDE = f'import sys\nsys.path.insert(0, __file__.rpartition("/")[0] + "{UNPACKED}")\n'
_LIBRARY = "prometheus_client"
# For frameworks and servers that no host of ours has.
_NOT_WANTED = {"aiohttp", "bridge", "django", "twisted"}


def pack_helper(package: Path) -> bytes:
    """Return the helper as one program, byte for byte the same for the same sources.

    It runs what is unpacked beside it, so it belongs where nobody else can put that: in a directory of its user's own.
    """
    return _zipped(_helper(package), _LOOKS_BESIDE + _MAIN)


def pack_exporter(package: Path) -> bytes:
    """Return the same, for any place, with the client library of Prometheus.

    Raise `ProvisionError` where that is not installed.
    """
    try:
        listed = metadata.files(_LIBRARY) or []
    except metadata.PackageNotFoundError as err:
        raise ProvisionError(f"{_LIBRARY} is not installed", where="the exporter", fix="make setup") from err
    library = {
        str(path): Path(path.locate()).read_bytes()
        for path in listed
        if _is_wanted(PurePosixPath(path)) and Path(path.locate()).is_file()
    }
    return _zipped({**_helper(package), **library}, _MAIN)


def _is_wanted(path: PurePosixPath) -> bool:
    code = path.parts[0] == _LIBRARY and path.suffix == ".py" and path.parts[1] not in _NOT_WANTED
    return code or path.stem in ("LICENSE", "NOTICE")


def _helper(package: Path) -> dict[str, bytes]:
    return {f"cgidhost/{path.relative_to(package)}": path.read_bytes() for path in package.rglob("*.py")}


def _zipped(content: Mapping[str, bytes], main: str) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), main)
        for name, data in sorted(content.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()
