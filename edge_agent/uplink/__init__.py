"""Carries the journal to the broker; topics and payloads are pure functions beside it."""
