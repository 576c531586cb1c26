"""Ornaments cut out of their pictures, bent, lit and pasted onto people: the steps of a warped pair."""
