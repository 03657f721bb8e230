"""stackctl: HAProxy in front of Telemt, every limit set and proven."""

__version__ = "0.1.0"
