"""What `pocketbert` can be told to do, a file a subject; `recipes.cli` puts them together."""
