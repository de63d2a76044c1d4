"""What a Station is made of, built from its configuration; nothing here has a thread of its own."""
