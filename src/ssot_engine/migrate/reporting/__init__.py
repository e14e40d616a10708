"""What was found, told: whether new names resolve, what is accepted, how far it is."""
