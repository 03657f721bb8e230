"""What the kernel, HAProxy and Telemt have refused so far, how fast it grows, and what is full."""
