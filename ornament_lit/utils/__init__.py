"""What every room may use: files, imports, schedules, frozen weights, versions."""
