"""`python -m loomlab` is `loom`."""

from loomlab.entry.cli import main

if __name__ == "__main__":
    main()
