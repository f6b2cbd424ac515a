"""Pictures: what is accepted, where it is kept, and how it is served."""
