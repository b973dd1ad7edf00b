"""Builders of source rows: people and events in, tables of the sector out. The seed and the daily tick use the same ones."""
