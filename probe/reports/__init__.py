"""Self-contained HTML: a decoding on a page that runs nothing, and whole reports with figures."""

from probe.reports.decoding import FLAG_MEANINGS, csv_with, decoding_csv, decoding_html, headline
from probe.reports.document import Asked, Left, PromptPart, Report, Similarity
from probe.reports.page import report_html

__all__ = [
    "FLAG_MEANINGS",
    "Asked",
    "Left",
    "PromptPart",
    "Report",
    "Similarity",
    "csv_with",
    "decoding_csv",
    "decoding_html",
    "headline",
    "report_html",
]
