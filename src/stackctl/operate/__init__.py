"""Plan → live stack: files written atomically, images built, containers started and removed."""
