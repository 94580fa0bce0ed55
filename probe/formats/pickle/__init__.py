"""Pickles read without unpickling: opcodes walked, allowed names rebuilt, nothing executed.

`reader.read_pickle` gives plain containers and arrays, `reader.PicklesInPlace` the tensors of a
file whose numbers stay where they are. See docs/decisions/0006-pickles-without-unpickling.md.
"""
