"""`pocketbert serve`: an engine behind HTTP."""
