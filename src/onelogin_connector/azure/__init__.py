"""
What the sinks for Microsoft's services share: clouds, tokens, and one way to post.
"""
