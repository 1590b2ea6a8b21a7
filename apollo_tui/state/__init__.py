"""What the app knows, folded from events and read from the log, as data for painters. No Textual."""
