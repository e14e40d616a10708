"""Import statements and the uses through them, worked out item by item."""
