"""Trained networks that ship with the package."""

from pathlib import Path

FOLDER = Path(__file__).parent
