"""What a sweep costs as the estate grows: `python -m bench.sweep`."""
