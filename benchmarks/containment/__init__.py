"""What a prefix stops and what it lets through: each attempt is made from inside, and the table says what was seen."""
