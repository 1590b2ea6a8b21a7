"""Where to look: rules over events that say, with a plain reason, which session wants a person."""
