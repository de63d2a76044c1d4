"""A scripted stretch of station time, played through the real agent by a fake clock, and judged by a known truth."""
