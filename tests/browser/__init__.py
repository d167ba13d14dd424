"""
The pages in a browser. A package, so that the browser can end with the last of its tests.
"""
