"""Where the app gets its data: reads the log, talks to the host, and keeps the link between the two."""
