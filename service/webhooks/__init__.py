"""Telling others that a job ended: where messages may go, how they are signed and sent."""
