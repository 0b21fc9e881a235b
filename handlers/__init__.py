"""What wakes us: one blueprint a family. They parse, call and return: no SDK, no decision.

Everything but the trigger libraries is imported inside the functions, because this package is imported at every cold
start.
"""
