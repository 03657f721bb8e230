"""The program of the collector's container: it reads a live stack and its machine."""
