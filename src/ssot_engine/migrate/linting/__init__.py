"""Uses that what is new does not bear, although its import is right."""
