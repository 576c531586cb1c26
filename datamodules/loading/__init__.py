"""Which sample when: pairs, plans and orders of epochs, the loader, and its place after a resume."""
