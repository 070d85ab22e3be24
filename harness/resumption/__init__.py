"""A run that goes on with another one: what its results follow from, and which of them stand.

The other run's record and directory are hostile input: nothing of them is executed or followed.
"""
