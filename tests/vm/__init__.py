"""Whole machines: Debian with Docker, booted in software emulation and driven over ssh."""
