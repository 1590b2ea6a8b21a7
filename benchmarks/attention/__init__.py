"""How well the attention rules do: made sessions with known drift over a background drawn from real rates."""
