"""The dashboard: one package for each page, and what they share."""
