"""What the kernel and HAProxy count of a running stack, read here, and what it points at."""
