"""Why a JobSet, a Job or a pod does not run, and what to do about it."""
