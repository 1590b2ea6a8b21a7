"""The background process that runs sessions and alone writes the log, and its socket protocol."""
