"""How each framework is started: devices, threads, memory; and which Keras a flavor is about.

It may import: nothing of ours. What is asked of the hardware comes as `resources.Resources`.
"""
