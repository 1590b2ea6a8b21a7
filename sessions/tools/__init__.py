"""The agent's tools: what models are told of them, what they do, and what is known of a call after a crash."""
