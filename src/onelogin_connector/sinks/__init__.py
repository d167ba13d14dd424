"""
The destinations, one file each; the file's name is the kind used in the configuration.
"""
