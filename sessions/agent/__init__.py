"""The agent loop: request, reply, actions, boundary."""
