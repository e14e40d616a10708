"""What modules export, read from their source."""
