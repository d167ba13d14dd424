"""
The HTTP surface: webhooks in, health, metrics, API and pages out.
"""
