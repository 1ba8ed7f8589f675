"""JSON lines: labelled hunks, encoded pieces, predictions."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import zstandard


def read(path: Path) -> Iterator[dict]:
    """Each line's document; the file is plain or .zst."""
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file) if path.suffix == ".zst" else file
        with io.TextIOWrapper(stream, encoding="utf-8") as lines:
            yield from map(json.loads, lines)
