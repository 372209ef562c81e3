"""What only a prompt needs: magics, short names as in SPEC, tables and plots of counts, and a word of welcome."""

from whiteline.beamline.prompt import at_prompt, this_prompt

if (shell := this_prompt()) is not None:
    globals().update(at_prompt(shell, session))
