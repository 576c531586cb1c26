"""The command ``export``: a checkpoint as a pipeline's folder."""

from pathlib import Path


def export(checkpoint: str, output: Path, raw: bool = False, resolution: int | None = None, half: bool = False) -> None:
    """Write the pipeline of a checkpoint: export --checkpoint C --output DIR.

    The folder holds stock models of diffusers and transformers as safetensors, and our small parts beside them. It is
    written aside and then renamed, so that it is complete or not there.

    Args:
        checkpoint: Checkpoint of a training run.
        output: Folder to write; a pipeline that is there is replaced.
        raw: Take the raw weights instead of the averaged ones.
        resolution: Side of the generated crops; needed for checkpoints that do not say it.
        half: Write the weights as float16, in half the space; they are read as float32.
    """
    from ornament_lit.pipeline.from_checkpoint import load_checkpoint
    from ornament_lit.pipeline.serialization import check_replaceable

    check_replaceable(output)
    pipeline = load_checkpoint(checkpoint, raw, resolution)
    pipeline.save_pretrained(output, half)
    print(f"pipeline with the {pipeline.settings.source['weights']} weights: {output}")
