"""The simulated beamline: its physics, its sample, and the truth about both.

Everything here is written the other way round than `whiteline.analysis.laws`: from what the hardware does to what comes
out. Where the laws turn an energy into an angle, this turns an angle into an energy. The two share constants, never
formulas, so a test of one against the other means something.

The parts are frozen and given all that they need. `full_field.FullFieldMicroscope` and `nanoprobe.Nanoprobe` put them
together: from the readings of the axes to what the detectors count.
"""
