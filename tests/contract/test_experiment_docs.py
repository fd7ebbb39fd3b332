"""The documented experiment file is one that the program takes."""

import re
from pathlib import Path

from cgidlab.design import catalogue, plan, spec, strict_yaml

ROOT = Path(__file__).parents[2]


def test_the_documented_example_is_valid() -> None:
    text = (ROOT / "docs" / "experiment-format.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    options = catalogue.load(ROOT / "roles")

    made = plan.make(spec.build(strict_yaml.parse(example.group(1).encode(), "example"), options), options)

    assert len(made.cells) == 4 * 3 - 2


def test_every_key_of_the_file_is_documented() -> None:
    text = (ROOT / "docs" / "experiment-format.md").read_text()

    from cgidlab.design.specform import FileForm  # noqa: PLC0415 -- pydantic is slow to import and no other test here needs it

    undocumented = [name for name in FileForm.model_fields if f"`{name}`" not in text and f"`{name}." not in text]
    assert undocumented == []
