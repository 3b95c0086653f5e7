"""Comparisons: models side by side, from what finished jobs have measured."""

from service.comparisons.create import create, read

__all__ = ["create", "read"]
