"""Fits the failure classifier. No feature is computed here: `sentinel features` does that, in Rust."""

from pathlib import Path

# The repository is where the command is typed: an installed package cannot tell where that is.
ROOT = Path()
