"""One physical wire each, with exactly one owner (a Worker)."""
