"""What no instance at all would save, and whom it would keep waiting."""
