"""What is held about a person: to take along as a file, and to be deleted."""
