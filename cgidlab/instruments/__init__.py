"""One module an instrument."""
