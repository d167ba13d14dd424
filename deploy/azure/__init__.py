"""
The templates of "Deploy to Azure", and the parts they are built of.
"""
