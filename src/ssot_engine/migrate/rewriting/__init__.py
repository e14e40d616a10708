"""One Python file: what is to become of it."""
