"""
Parts of the templates: each module holds the resources of one concern.
"""
