"""The recipes, their schema, the pipeline that runs them, and the command line."""
