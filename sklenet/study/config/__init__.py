"""What a study file may hold, and reading it."""
