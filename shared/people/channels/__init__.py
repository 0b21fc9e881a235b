"""The ways to people: one module each, each a `Sender`."""
