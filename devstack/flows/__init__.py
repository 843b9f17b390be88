"""Running flows on the stack: start, watch, stop, report, verify."""
