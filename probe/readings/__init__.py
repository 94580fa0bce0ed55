"""Readings: what a soft prompt means, as ranked tokens or a text, each beside its controls."""
