"""Numbers on the command lines that replay traces."""

from argparse import ArgumentTypeError
from collections.abc import Callable


def between[N: (int, float)](read: Callable[[str], N], least: N, most: N, what: str) -> Callable[[str], N]:
    """For argparse: an option's number from `least` to `most`; `what` says of what it is."""

    def option(text: str) -> N:
        refused = ArgumentTypeError(f"{text} is no number from {least:,} to {most:,} ({what})")
        try:
            value = read(text)
        except ValueError:
            raise refused from None
        if not least <= value <= most:  # nan too
            raise refused
        return value

    return option
