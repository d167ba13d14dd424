"""
What brings the program onto machines: templates for Azure, a unit for systemd.
"""
