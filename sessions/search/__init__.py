"""Search over all sessions of a log: a full-text index beside the log, kept up by whoever searches, never by a host."""
