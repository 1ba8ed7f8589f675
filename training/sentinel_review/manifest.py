"""The manifest of a review model: its version, how it is calibrated, and its files by their digests."""

import hashlib
import json
from pathlib import Path


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def write_manifest(folder: Path, version: str, max_tokens: int, calibration: dict, thresholds: dict) -> None:
    """The node refuses files with other digests."""
    names = ["model.onnx", "tokenizer.json", "controls.json"]
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    manifest = {
        "model_version": version,
        "max_tokens": max_tokens,
        "calibration": calibration,
        "thresholds": thresholds,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
