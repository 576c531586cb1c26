"""What every room may use: files, imports, schedules, random generators."""
