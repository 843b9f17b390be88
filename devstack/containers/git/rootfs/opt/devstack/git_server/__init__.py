"""A Git server over HTTP for one repository, on Git's own back end."""
