"""Pickles read without unpickling: opcodes walked, allowed names rebuilt, nothing executed."""
