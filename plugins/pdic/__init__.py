"""PDIC: the shared data integration center of a province. See README.md for the map of this package."""

__version__ = "0.1.0"
