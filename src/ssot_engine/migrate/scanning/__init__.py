"""A whole tree: its candidates, examined on several cores where that helps."""
