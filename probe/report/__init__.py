"""Self-contained HTML: a decoding on a page that runs nothing."""

from probe.report.decoding import FLAG_MEANINGS, csv_with, decoding_csv, decoding_html, headline

__all__ = ["FLAG_MEANINGS", "csv_with", "decoding_csv", "decoding_html", "headline"]
