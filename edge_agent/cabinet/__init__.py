"""Cabinets: slots assembled of locks, batteries and contacts; swaps."""
