"""Read-only questions to the log: search, the digest of a session, the queue of what is to be judged."""
