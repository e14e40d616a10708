"""What tests of a host use: fixtures, and audits of isolation."""
