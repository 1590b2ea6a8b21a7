"""Headless core: the log, the host, the agent loop, the providers and the tools. Knows no screen."""
