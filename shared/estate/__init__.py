"""Reading the estate: thin async adapters that return frozen values with their age, and change nothing.

Clients of Azure are imported on first use, inside the functions that need them: importing this package costs nothing.
"""
