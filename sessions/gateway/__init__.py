"""The model endpoint of a session whose agent is a harness: its requests and replies pass through here into the log."""
