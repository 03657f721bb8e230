"""Collects raw evidence of a live stack: text and numbers, each with where it came from."""

VERSION = 1
"""Version of the request and of the response; src/stackctl/observe/response.py describes both."""
