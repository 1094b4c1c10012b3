"""Trained networks as an HTML page to draw on.

The page computes the networks in the browser: `describe.py` turns an estimator into plain
values, and the scripts in ``js/`` compute, frame and draw as the Python code does.
"""

from sklenet.page.write import Page, write_page

__all__ = ["Page", "write_page"]
