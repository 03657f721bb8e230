# --- cards, queues and processors: read and advised on; set only where stack.yaml asks ------------------------------

hardware_running() { :; }
hardware_advice() { :; }
put_sysfs() { :; }
