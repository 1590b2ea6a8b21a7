"""What an annotator does to sessions: each act is a request to the host and a receipt. No Textual in here."""
