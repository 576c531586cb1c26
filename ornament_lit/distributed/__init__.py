"""Training on many devices: sharded weights, and callbacks beside them."""
