"""What devstack's own services on Postgres share: connections, migrations, errors, JSON bodies.

It is part of the images of the metadata service and of the pipelines API.
"""
