"""What will arrive: learned from what arrived, said in several ways, and trusted as far as it was right."""
