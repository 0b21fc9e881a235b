"""A long day with everything in it: load, faults, people, freezes; and what must still be bounded at its end."""
