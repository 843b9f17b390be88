"""The metadata service: what Metaflow records of its runs, kept in Postgres.

It speaks the HTTP that Metaflow's ``service`` metadata provider speaks.  It
stands alone: it imports nothing else of devstack, and runs in an image of its
own.  All that it knows is in the database, so any number of them may serve one.
"""
