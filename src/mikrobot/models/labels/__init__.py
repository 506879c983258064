"""What came of each close: the only room that looks forward.

A label is never an input. Each carries the end of its horizon, so that a split can keep it away
from what comes after.
"""
