"""Observation: what the live stack shows, each value with its source."""
