"""
The solution for Microsoft Sentinel: its sources, and what builds the package from them.
"""
