"""Azure on one machine: everything that `function_app.py` talks to, simulated. Never deployed (.funcignore)."""
