"""Runs the trials of a block on the host it was copied to. Standard library of Python 3.9 alone."""

SCHEMA_VERSION = 1
