"""The demo: scripted models (they say so), and everything else real: tools, jobs, files, scorers, log."""
