"""The one exception that reaches a user as a sentence instead of a traceback."""


class InputError(ValueError):
    """Something the user gave is wrong: the text names it, says why and what to type instead.

    The console script prints the text alone and exits with code 2.
    """
