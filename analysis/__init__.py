"""The science: laws, tables, spectra, maps, registration, focus and dose, as pure functions of arrays.

Units, everywhere: photon energy eV; sample positions µm; optics distances mm, along the beam from the sample,
downstream positive; Bragg angle degrees, pitch and roll µrad; time s; dose Gy; counts.
"""
