"""Files recorded elsewhere, read into events. Pure parsing: nothing is written here, the host appends.

``files`` is where to begin. To add a format: a module with ``recognises(document) -> bool`` and
``parse(document) -> list[ImportedSession]``, and a line in ``detect.SHAPES``.
"""
