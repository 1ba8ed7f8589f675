"""Labelled hunks: JSON lines, plain or compressed with zstd."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import zstandard


def read(path: Path) -> Iterator[dict]:
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file) if path.suffix == ".zst" else file
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            yield json.loads(line)
