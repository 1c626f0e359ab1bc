"""Demonstrations on the disk, as LeRobotDataset v3.0: written with pyarrow and PyAV, without LeRobot or torch."""
