"""The single door into the journal: what was said becomes what is stored."""
