"""Recommendations: rules over facts, and what finished jobs have measured in their place."""

from service.recommend.create import recommend

__all__ = ["recommend"]
