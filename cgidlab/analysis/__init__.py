"""Statistics, and what they say of a run's trials. Pure: values in, values out."""
