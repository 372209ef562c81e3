"""The simulated beamline over Channel Access: two IOC processes, the machine and the beamline.

A shell around the physics of `whiteline.sim`: each file here is one thing on the floor, as its record behaves.
"""
