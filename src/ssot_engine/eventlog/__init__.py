"""Event logs: one contract, several places to keep events."""
