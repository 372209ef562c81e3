"""What a session has at a prompt of IPython, besides what it has in a queue.

`short_names` as in SPEC; `counts` tables and plots; `welcome` what is there and what is missing; `installing` all of
it.
"""

from whiteline.beamline.prompt.installing import at_prompt, this_prompt

__all__ = ["at_prompt", "this_prompt"]
