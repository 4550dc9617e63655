"""Figures computed from arrays: agreement, accuracy, shared errors, calibration, efficiency, intervals."""
