"""The metadata service: Metaflow's records of runs, in Postgres.

It implements the HTTP API of Metaflow's ``service`` metadata provider. It runs in
an image of its own and imports nothing else of devstack. It is stateless, so
several processes can serve one database.
"""
