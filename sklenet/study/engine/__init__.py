"""Running a study: its fits, searches, journal and records."""
