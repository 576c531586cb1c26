from datamodules.samples.schema import ENTRIES, LATENTS, OPTIONAL, is_latents


def test_names_of_latents() -> None:
    assert all(is_latents(LATENTS.format(copy)) for copy in (0, 7, 12))
    assert not any(
        is_latents(entry) for entry in (*ENTRIES, *OPTIONAL, "latents_.safetensors", "latents_x.safetensors")
    )


def test_what_is_required_and_what_is_not_have_no_name_in_common() -> None:
    assert len(set(ENTRIES) | set(OPTIONAL)) == len(ENTRIES) + len(OPTIONAL) == 7
