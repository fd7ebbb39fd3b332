"""What the documentation says of the code's own tables is what the code says now."""

import subprocess
import sys
from pathlib import Path


def test_the_parts_that_are_made_from_the_code_are_fresh(repo_root: Path) -> None:
    made = subprocess.run(
        [sys.executable, "scripts/write_docs.py", "--check"], cwd=repo_root, check=False, capture_output=True, text=True
    )

    assert (made.returncode, made.stdout) == (0, ""), made.stdout + made.stderr
