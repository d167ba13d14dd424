"""
How passwords are kept where a test is not about them: at its start nearly every service hashes its administrator's.
"""

from argon2 import PasswordHasher

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Costs nothing, where guessing has to cost an eighth of a second of all cores."""
