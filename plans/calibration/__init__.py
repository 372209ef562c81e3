"""Plans that calibrate: each fits what it has taken, records the result in a stream `calibration`, and applies it.

`focus_series` through focus at one energy; `calibrate_focus` (A0, A1) of a zone plate, its run-out, and the
magnification; `calibrate_magnification` that alone; `calibrate_energy` d and Δ of the monochromator on foils;
`calibrate_gap` the table of the undulator; `scan_osa` the order-sorting aperture; `knife_edge` the size of the probe;
`find_rotation_centre` the axis of the sample's rotation; `measure_dark_rates` what the counters count without beam.
`emitted` holds the result, `conclude` applies it; `looks`, `ways`, `through_focus`, `edge_scan`, `foil_scan` and
`displacement` take the points.
"""
