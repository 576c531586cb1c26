"""Reference matching: what helps the denoiser's queries to find their place on the ornament."""

from ornament_lit.models.reference_matching.base import MatchFunction, ReferenceMatching, as_they_are
from ornament_lit.models.reference_matching.none import NoReferenceMatching
from ornament_lit.models.reference_matching.positional import PositionalMatching

__all__ = ["MatchFunction", "NoReferenceMatching", "PositionalMatching", "ReferenceMatching", "as_they_are"]
