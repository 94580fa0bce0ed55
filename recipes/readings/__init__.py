"""The recipe of the study of readings."""
