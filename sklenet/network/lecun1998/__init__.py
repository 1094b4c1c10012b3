"""The parts of the 1998 network."""
