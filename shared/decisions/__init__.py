"""The pure core: `(snapshot, memory, policy, now) -> (intents, memory)`, and the fold of intents into decisions.

Nothing here imports an SDK, reads a clock or does I/O: a recorded decision replays offline to the same result.
"""
