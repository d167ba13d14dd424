"""
A OneLogin account to run against: what a company does all day, and how it is told.
"""
