"""The loops. Adding one is adding a module with `make_loop` here; the engine finds it."""
