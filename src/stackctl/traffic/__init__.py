"""Load as proof: open client connections to the running stack, hold them, and count.

`plan.py` decides, `run.py` starts the processes and gathers their results, `worker.py` is one
process. Workers import this package, too, so it imports nothing slow.
"""
