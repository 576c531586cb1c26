"""Callbacks of the training: loss weights, averaged weights, images and reports."""

from callbacks.channels_last import ChannelsLast
from callbacks.checkpoint_keeper import CheckpointKeeper
from callbacks.compile_blocks import CompileBlocks
from callbacks.ema import TrainableEMA
from callbacks.evaluation_report import EvaluationReport
from callbacks.gradient_guard import GradientGuard
from callbacks.initial_weights import InitialWeights
from callbacks.loss_weight_decay import LossWeightDecay
from callbacks.mask_report import MaskReport
from callbacks.mask_visualizer import MaskVisualizer
from callbacks.offload_frozen import OffloadFrozen
from callbacks.prediction_writer import PredictionWriter
from callbacks.preemption import Preemption
from callbacks.run_lock import RunLock
from callbacks.run_record import RunRecord
from callbacks.throughput import Throughput

__all__ = [
    "ChannelsLast",
    "CheckpointKeeper",
    "CompileBlocks",
    "EvaluationReport",
    "GradientGuard",
    "InitialWeights",
    "LossWeightDecay",
    "MaskReport",
    "MaskVisualizer",
    "OffloadFrozen",
    "PredictionWriter",
    "Preemption",
    "RunLock",
    "RunRecord",
    "Throughput",
    "TrainableEMA",
]
