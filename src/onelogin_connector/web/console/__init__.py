"""
The pages of the console: one module per family of pages, all standing on ``base`` and ``routes``.
"""
