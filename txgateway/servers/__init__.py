"""The ways in. Each server is made from the api (what can be asked) and access (who may ask), as a Twisted factory.

A server binds no port and opens no file: the service does, with the factory it is given. It never sees a broker or the
journal. What goes wrong for one client costs that client its answer or its connection, and nothing else.
"""
