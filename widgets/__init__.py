"""Painters: from frozen data (``models``) they paint rows and post messages. No I/O; foreign text is cleaned first."""
