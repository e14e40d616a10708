"""The web edge: every wire by which users reach their runs, each a cursor on the event log."""
