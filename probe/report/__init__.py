"""Self-contained HTML: a decoding on a page that runs nothing, and whole reports with figures.

Python's verb for reports is `probe.write_report`, since `probe.report` is this package.
"""

from probe.report.decoding import FLAG_MEANINGS, csv_with, decoding_csv, decoding_html, headline
from probe.report.document import Asked, Left, PromptPart, Report, Similarity
from probe.report.page import report_html

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
