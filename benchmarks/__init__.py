"""How fast stackctl is, measured side by side on the machine at hand; see README.md."""
