"""One module a verb, each with `register()` and `run()`."""
