"""What is made of the records of a study: tables, figures and pages."""
