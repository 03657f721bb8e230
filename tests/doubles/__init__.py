"""Stand-ins that tests and benchmarks share, and what compiles those in C."""
