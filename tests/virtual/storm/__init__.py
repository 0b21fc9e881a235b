"""A storm of signals over a fleet: what is sent, to whom, what must be true afterwards."""
