"""Run planes: where submitted runs execute."""
