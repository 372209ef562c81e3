"""Ophyd classes, one per thing on the floor; reading a class reads like its interface document."""
