"""Where an agent's commands and file tools act: the prefix of a session, and the space that it makes."""
