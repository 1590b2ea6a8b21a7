"""The rows of the table, by what they need: a host that streams, a start, a long log."""
