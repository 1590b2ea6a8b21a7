"""What goes to the terminal: small updates, alerts, clipboard, pager, last words; and Textual's private parts."""
