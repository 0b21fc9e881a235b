"""What the decisions would have come to while nobody acted on them, and whether that is enough for `enforce`."""
