"""The local Functions host: runs the real function_app.py on one machine, as Azure would."""
