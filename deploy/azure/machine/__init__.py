"""
What a machine in Azure gets beside the program: its first boot, its settings, its secrets.
"""
