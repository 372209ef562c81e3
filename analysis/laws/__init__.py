"""The laws of the instrument, as pure functions: monochromator, undulator, zone plate, both microscopes, motion.

`bragg` energy and angle, fixed exit, resolution; `undulator` gap, harmonic, width; `zone_plate` focal length, depth of
focus, blur; `full_field` where zone plate and detector of a TXM stand; `scanning` where those of a nanoprobe stand, its
aperture and mirrors; `motion` how long a move takes.
"""
