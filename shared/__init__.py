"""Everything of Watchkeeper that is not a trigger: the words, the readers, the decisions, the changes, the records."""
