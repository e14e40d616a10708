"""Files written so that each is whole at any time, and can be put back."""
