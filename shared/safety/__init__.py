"""Gates: what must allow an action at the moment of the act."""
