"""Ornaments cut out of their images, bent, lit and pasted onto people: the steps of a warped pair."""
