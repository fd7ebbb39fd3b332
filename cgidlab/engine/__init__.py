"""What touches hosts, and the order in which it does."""
