"""Pack the exporter into one file that any Python from 3.9 on runs: the host's helper and prometheus_client.

    .venv/bin/python scripts/pack_exporter.py FILE

The same sources give the same bytes. Says "written", or "unchanged".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from cgidlab import files  # see the line above
from cgidlab.engine import packing

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Pack; return 0."""
    target = Path(sys.argv[1]).absolute()
    packed = packing.pack_exporter(ROOT / "roles" / "trial" / "files" / "cgidhost")
    if target.exists() and target.read_bytes() == packed:
        print("unchanged")
        return 0
    files.make_directory(target.parent)
    files.write_bytes(target, packed)
    print("written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
