"""Readers of recordings, one per tool, written from the tools' own documentation and source; none knows the product."""
