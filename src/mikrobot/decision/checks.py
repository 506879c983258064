"""The checks of a decision, for strategies and the ProductOwner."""

from mikrobot.domain.check_results import Check, Comparison, compared

__all__ = ["Check", "Comparison", "compared"]
