"""An export from start to end: sessions to workers, rows to files, and a report and a manifest of what was done."""
