"""Changing the estate: one module a kind of change, each with capture, request, verify and undo.

Called by `handlers/actuation.py` alone, behind its gates. (`undoing` changes nothing: it asks for a change.)
"""
