"""Small questions and lists over a screen: each asks one thing, gives one answer, and is gone."""
