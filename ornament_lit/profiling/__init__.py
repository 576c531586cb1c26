"""What a training step costs on a machine: FLOPs, time, memory, the loader's pace."""
