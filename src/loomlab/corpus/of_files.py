"""What corpora of the user's own labelled files share: all is asked of their reader."""

from collections.abc import Iterator

from loomlab.corpus.with_labels import LabelledCorpus
from loomlab.text.class_labels import RowLabels
from loomlab.text.labelled_files import LabelledFiles


class LabelledFilesCorpus(LabelledCorpus):
    """Rows with labels out of files that `source` reads."""

    source: LabelledFiles

    def fetch(self) -> None:
        """The files are here; which ones are left out is said."""
        if self.rank == 0:
            self.source.tell_left_out()

    def documents(self, split: str) -> Iterator[str]:
        """Texts in the order of files and rows; InputError when a file cannot be read."""
        return self.source.texts(split)

    def labels(self, split: str) -> Iterator[RowLabels]:
        """Labels in the order of files and rows; InputError for a row that lacks one."""
        return self.source.labels(split)

    def fingerprint(self) -> str:
        """Hash of the files and of the settings that read them."""
        return self.source.fingerprint()
