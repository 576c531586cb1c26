"""Networks: `TryOnModel` and the parts that it is put together from, one folder a family."""
