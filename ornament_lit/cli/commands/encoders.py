"""The frozen encoders and the data of a training configuration, without the networks that train."""

from collections.abc import Sequence
from typing import NamedTuple

from jsonargparse import ArgumentParser

from datamodules import OrnamentDataModule
from ornament_lit.cli.trainer import TryOnCLI
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.image_encoders import ImageEncoder


class EncodersAndData(NamedTuple):
    """What encodes, and what is encoded."""

    autoencoder: Autoencoder
    image_encoder: ImageEncoder
    data: OrnamentDataModule


class EncodersCLI(TryOnCLI):
    """Reads a training configuration and builds its encoders and data only: no UNet is loaded.

    Args:
        args: Command-line words without the command.
    """

    def __init__(self, args: Sequence[str]) -> None:
        super().__init__(args=list(args), run=False)

    def instantiate_classes(self) -> None:
        """Build the parts."""
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--autoencoder", type=Autoencoder)
        parser.add_argument("--image_encoder", type=ImageEncoder)
        parser.add_argument("--data", type=OrnamentDataModule)
        model, data = self.config.model, self.config.data
        chosen = {"autoencoder": model.autoencoder, "image_encoder": model.image_encoder, "data": data}
        built = parser.instantiate(parser.parse_object(chosen))
        self.parts = EncodersAndData(built.autoencoder, built.image_encoder, built.data)


def build_encoders(args: Sequence[str]) -> EncodersAndData:
    """Build the encoders and the data of a training configuration.

    Args:
        args: Command-line words without the command, such as ``["--config", "configs/ornament.yaml"]``.

    Raises:
        ValueError: If the configuration is wrong.
    """
    return EncodersCLI(args).parts
