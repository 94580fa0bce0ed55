"""Self-contained HTML: a decoding on a page that runs nothing, and whole reports with figures."""
