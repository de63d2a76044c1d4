"""The station file: schema, checks over several tables, messages with lines, the reference."""
