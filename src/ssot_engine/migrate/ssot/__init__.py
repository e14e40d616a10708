"""Whether there is one source of truth."""
