"""What a user can get wrong.

* UserError: shown as one sentence, without a traceback; exit code 2
  - DataError: a table, a text or a label
  - ModelError: a checkpoint or a model folder
  - BundleError: a bundle or its engine
  - RecipeError: a recipe; lists every problem at once

A message says what was found, what was expected and what to do.
"""


class UserError(Exception):
    """A mistake in the input or the surroundings, not in the program."""


class DataError(UserError):
    """A data file that cannot be used as the recipe says."""


class ModelError(UserError):
    """A checkpoint or model folder that cannot be used."""


class BundleError(UserError):
    """A bundle that is broken or does not fit this machine."""


class RecipeError(UserError):
    """A recipe with one or more problems.

    Args:
        problems: One line each, with file, line and path.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
