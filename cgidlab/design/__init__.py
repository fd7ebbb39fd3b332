"""From an experiment's file to trials in their order. Touches no host and reads no result."""
