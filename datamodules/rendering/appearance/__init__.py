"""How things look: materials, lights, backdrops, tone mapping."""
