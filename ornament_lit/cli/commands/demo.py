"""The command ``demo``: a page on which one draws the box."""

from importlib.util import find_spec

from ornament_lit.cli.commands.try_on_options import check_source
from ornament_lit.utils.devices import Device, DType


def demo(
    checkpoint: str | None = None,
    pipeline: str | None = None,
    port: int = 7860,
    host: str = "127.0.0.1",
    raw: bool = False,
    resolution: int | None = None,
    device: Device = "auto",
    dtype: DType = "float32",
) -> None:
    """Open a page to try ornaments on: choose two photographs, draw the box, look, download.

    It is served on this machine alone, and ends with Ctrl-C. Photographs lie in a temporary folder that goes with it;
    nothing is sent anywhere. What it generates is what try-on generates with the same options. Needs the extra demo.

    Args:
        checkpoint: Checkpoint of a training run. Without it and --pipeline, the weights that ship are taken.
        pipeline: Or the folder of an exported pipeline, or bundled:small, the weights that ship.
        port: Of the page, http://127.0.0.1:PORT/; 0 for any that is free.
        host: Address to listen on; 0.0.0.0 lets everybody on the network in, without encryption.
        raw: Take the raw weights of a checkpoint instead of the averaged ones.
        resolution: Side of the generated crop; needed for checkpoints that do not say it.
        device: Where to compute; auto for a CUDA device where there is one.
        dtype: Type of the numbers.

    Raises:
        ValueError: If an option cannot be used, the port is taken, or the extra is not installed.
        FileNotFoundError: If there are no such weights.
    """
    check_source(checkpoint, pipeline, raw, resolution)
    if find_spec("gradio") is None:
        raise ValueError("the page needs gradio; install it by pip install -e '.[demo]'")
    from ornament_lit.demo.serving import address_of, check_host, guarded, listen, serve, warn_of_strangers, workspace

    beyond = check_host(host)
    with listen(host, port) as listening, workspace() as folder:
        if beyond:
            warn_of_strangers(host)
        from ornament_lit.demo.generating import Generator, warnings_by_thread
        from ornament_lit.demo.page import Page
        from ornament_lit.pipeline.loading import load_pipeline

        loaded = load_pipeline(checkpoint, pipeline, raw, resolution, device, dtype)
        generator = Generator(loaded, folder / "worn", dtype)
        page = Page(generator)
        application = page.mounted(guarded(any_address=beyond))
        print(f"{address_of(listening)}  (Ctrl-C ends it)", flush=True)
        with warnings_by_thread():
            serve(application, listening, page.jobs.stop_all)
