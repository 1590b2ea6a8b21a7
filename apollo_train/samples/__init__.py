"""Prompts and replies as rows: the exact context of each step, with and without advice, before any file format."""
