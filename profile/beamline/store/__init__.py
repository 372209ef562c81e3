"""Where the documents of runs are kept: a journal that loses nothing, and a catalog that is made of it."""
