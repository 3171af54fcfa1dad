"""Data in mergeable summaries of constant size: no rows, no single values."""
