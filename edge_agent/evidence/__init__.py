"""The evidence of a month: what the station offered, read from the journal, for whoever reviews it."""
