"""Old names in strings of Python and in configuration files."""
