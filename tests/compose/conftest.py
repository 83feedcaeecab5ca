"""A project of the user's, and what the gate says."""

from tests.own_project import project, said

__all__ = ["project", "said"]
