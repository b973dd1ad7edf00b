"""Planted defects: a registry of kinds. A new kind is one function in a module here and one rate in the profile."""

# Each module registers its kinds; they are planted in this order, and a row that carries one takes no other.
from demo.defects import dates, numbers, records, texts  # noqa: F401
from demo.defects.engine import EVENT_KINDS, KINDS, Fate, Kind, Plant, fate_of, kind, plant_all
from demo.defects.numbers import broken_id

__all__ = ["EVENT_KINDS", "KINDS", "Fate", "Kind", "Plant", "broken_id", "fate_of", "kind", "plant_all"]
