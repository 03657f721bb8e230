"""Observation: what the live stack shows, each value with where it came from."""
