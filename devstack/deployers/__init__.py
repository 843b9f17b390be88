"""Deploy flows to a workflow engine. base.py has the interface; each engine has a package."""
