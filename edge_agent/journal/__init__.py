"""The journal: one SQLite file, how it opens, fills, is bounded and salvaged."""
