"""The attributes, variables and examples of @kubernetes, on running pods."""
