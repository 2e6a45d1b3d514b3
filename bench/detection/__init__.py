"""How soon the detectors tell, and how often they cry wolf: `python -m bench.detection`, with known laws.

Everything is simulated with seeds that are printed. The product's detectors are used as the daemon uses them, round by
round through the `Detector` protocol; beside them stand the optimum (Page's CUSUM with known laws) and the detectors of
river, calibrated to the same average run length in the same run.
"""
