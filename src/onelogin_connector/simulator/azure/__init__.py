"""
The Azure side of the simulation: sign-in, both ingestion APIs, and a workspace whose rows can be asked for.

It is written from what is publicly known of the services, not from how our sinks use them, and where that leaves a
choice it takes the stricter one: what a simulation lets pass, a customer's workspace must not refuse.
"""
