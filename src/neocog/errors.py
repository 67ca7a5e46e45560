"""The one family of errors that a user of neocog can meet."""


class NeocogError(Exception):
    """Base of every error that is the user's to mend.

    Its message says what was expected, what came and what to do. The command line prints it without a
    traceback and ends with exit code 2.
    """


class RecipeError(NeocogError):
    """A recipe, a flag or a setting that cannot be used."""


class NotationError(NeocogError):
    """A network written in the notation that cannot be read or does not fit its input."""


class ModelError(NeocogError):
    """A network that cannot be found or built."""


class WeightsError(NeocogError):
    """A weights file that cannot be read or does not fit its network."""


class DataError(NeocogError):
    """Images, labels or folders that cannot be used."""


class TrainingError(NeocogError):
    """A training that cannot go on, for example because the loss is no longer finite."""


class RunError(NeocogError):
    """A run folder that is missing, incomplete or in the way."""
