"""What each program that writes lines says: one module a program, one line in, facts out.

Pure, and without state: what spans several lines is put together in `logs`.
Imports `base` and `record`.
"""
