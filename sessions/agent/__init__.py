"""Runs one session, from wherever its log ends: request, reply, calls, boundary, over and over."""
