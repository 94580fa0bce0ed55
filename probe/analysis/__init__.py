"""Analyses: one question per file, arrays in, a frozen result out, randomness as an argument."""
