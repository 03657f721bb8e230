"""Load as proof: client connections opened to the running stack, held, and counted.

`plan.py` decides, `run.py` starts the processes and gathers, `worker.py` is one process. Workers
import this package too: nothing slow to import stands here.
"""
