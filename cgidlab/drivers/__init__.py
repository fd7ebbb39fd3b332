"""One module a load generator's program."""
