"""Callbacks of the training: loss weights, averaged weights, pictures and reports."""

from callbacks.drawing_report import DrawingReport
from callbacks.ema import TrainableEMA
from callbacks.initial_weights import InitialWeights
from callbacks.loss_weight_decay import LossWeightDecay
from callbacks.mask_report import MaskReport
from callbacks.mask_visualizer import MaskVisualizer
from callbacks.prediction_writer import PredictionWriter

__all__ = [
    "DrawingReport",
    "InitialWeights",
    "LossWeightDecay",
    "MaskReport",
    "MaskVisualizer",
    "PredictionWriter",
    "TrainableEMA",
]
