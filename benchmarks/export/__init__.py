"""How fast and in how much memory a large log is exported."""
