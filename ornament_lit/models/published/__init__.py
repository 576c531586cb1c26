"""Published weights of other methods: what their files call their tensors, and what these are called here."""
