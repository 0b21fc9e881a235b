"""A queue, its instances and whoever scales them, in ticks: for what-if replays and for `bench/scaling`.

Imported on use only: it needs numpy.
"""
