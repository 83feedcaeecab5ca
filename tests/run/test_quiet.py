"""Libraries do not write over what a run has to say."""

import logging

from huggingface_hub.errors import HTTPError

from loomlab.run.quiet import quiet_libraries


def test_requests_to_the_hub_are_not_told_one_by_one():
    quiet_libraries()
    library = HTTPError.__module__.partition(".")[0]  # what huggingface_hub is built on
    assert library in logging.root.manager.loggerDict
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)
