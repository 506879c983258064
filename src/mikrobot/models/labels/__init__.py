"""Labels of each bar close: the only package that uses future prices.

A label is never an input. Each label has the end of its horizon, so that a split can purge labels that
overlap the next span.
"""
