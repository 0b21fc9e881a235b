"""Recurring chores: one module here that offers `CHORE`. The upkeep timer runs what is due; nothing lists them."""

from shared.upkeep.base import Chore, Done, Run

__all__ = ["Chore", "Done", "Run"]
