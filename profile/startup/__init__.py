"""Startup files, run in the order of their names in one namespace: by IPython, `whiteline shell`, the queue server."""
