"""From weights to something that runs: export, graph edits, bundle, runtime."""
