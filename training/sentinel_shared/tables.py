"""The tables that Python shares with Rust: `tables.json` is the output of `sentinel tables`.

Rust owns them. Its tests fail while this copy is another one than the program would print.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A run of columns of the failure classifier's features."""

    name: str
    start: int
    width: int

    @property
    def columns(self) -> range:
        return range(self.start, self.start + self.width)


_DOCUMENT = json.loads(Path(__file__).with_name("tables.json").read_text(encoding="utf-8"))
_FAILURE, _REVIEW = _DOCUMENT["failure"], _DOCUMENT["review"]

# The failure classifier.
LAYOUT_VERSION: int = _FAILURE["layout_version"]
FEATURES: int = _FAILURE["width"]
BLOCKS: dict[str, Block] = {each["name"]: Block(**each) for each in _FAILURE["blocks"]}
# As the manifest tells the order of the columns.
FEATURE_ORDER: list[str] = [f"{block.name} {block.width}" for block in BLOCKS.values()]
NUMERICS: list[str] = _FAILURE["numerics"]
# The field and the level of each column of the block `categories`.
CATEGORY_COLUMNS: list[tuple[str, str]] = [(field, level) for field, level in _FAILURE["categories"]]
FLAGS: list[str] = _FAILURE["flags"]
CLASSES: list[str] = _FAILURE["classes"]

# The review model.
SEVERITIES: list[str] = _REVIEW["severities"]
CATEGORIES: list[str] = _REVIEW["categories"]
LANGUAGES: list[str] = _REVIEW["languages"]
# Powers of two: how far down its file a hunk stands, and by how many lines the change above it has moved it.
AT = range(_REVIEW["at_max"] + 1)
SHIFT = range(-_REVIEW["shift_max"], _REVIEW["shift_max"] + 1)
# The hashed bag of words has two to this power places.
BAG_BITS: int = _REVIEW["bag_bits"]


def columns(*blocks: str) -> list[int]:
    """The columns of these blocks of the failure classifier's features."""
    return [column for name in blocks for column in BLOCKS[name].columns]
