"""What forks phases from a process that has imported their framework.

It may import: nothing of ours. The phases do not know of it.
"""
