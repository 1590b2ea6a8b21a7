"""What a measurement is held against: an empty Textual app, and the app itself with painting off."""
