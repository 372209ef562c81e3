"""The page that shows a running scan in a browser, and past ones alike: `whiteline live`.

In the session's process `publishing` sends its documents by 0MQ. All else is a process of its own: `receiving` takes
them, `running` works them out, `recorded` does the same with a run of the catalog and `past_runs` lists those; `facts`
is what documents tell of a scan, `region` the spectrum of a rectangle, `view` what is shown, `words` numbers with
their units; `figures` draws, `style` says how it looks, `viewer` is one browser's page, `serving` the server, `token`
who may look.
"""
