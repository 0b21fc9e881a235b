"""Arbitration explored exhaustively: every state that bounded models of loops, time, Azure and people can reach.

`python -m tests.decisions.explore` writes the figures into docs/arbitration.md; `--large` explores the larger bounds.
"""
