import torch
from diffusers import DDIMScheduler, DDPMScheduler

from ornament_lit.conditions import encode_conditions
from ornament_lit.denoiser import DenoiserOutput
from ornament_lit.sampling import denoise


def test_a_denoiser_that_knows_the_answer_draws_it(build_module, tiny_batch) -> None:
    module, batch = build_module(), tiny_batch()
    conditions = encode_conditions(batch, module.autoencoder, module.image_encoder)
    truth = module.autoencoder.encode(batch["person_image"])

    def oracle(*unused: object) -> DenoiserOutput:
        return DenoiserOutput(truth, {})

    for scheduler in (DDIMScheduler, DDPMScheduler):
        noise_scheduler = scheduler(prediction_type="sample", clip_sample=False)
        drawn = denoise(oracle, noise_scheduler, conditions, module.refine(conditions), batch["sample_seed"], 10)
        torch.testing.assert_close(drawn, truth, atol=0.05, rtol=0)


def test_a_sample_is_drawn_the_same_in_any_batch(build_module, tiny_batch) -> None:
    module = build_module(sampling_steps=3).eval()
    batch = tiny_batch(3)
    last = {name: values[2:] for name, values in batch.items()}
    with torch.no_grad():
        together, alone = module.predict_step(batch, 0), module.predict_step(last, 0)
    torch.testing.assert_close(together["image"][2:], alone["image"])
    assert together["image"].shape == (3, 3, 32, 32) and together["image"].abs().max() <= 1


def test_the_noise_of_the_steps_goes_on_where_the_first_noise_ended(build_module, tiny_batch, monkeypatch) -> None:
    module, batch = build_module(), tiny_batch()
    conditions = encode_conditions(batch, module.autoencoder, module.image_encoder)
    states, real = [], DDPMScheduler.step

    def step(self, *args: object, generator: list[torch.Generator], **kwargs: object) -> object:
        states.append(generator[0].get_state())
        return real(self, *args, generator=generator, **kwargs)

    monkeypatch.setattr(DDPMScheduler, "step", step)
    arguments = (conditions, module.refine(conditions), batch["sample_seed"], 1)
    denoise(module.denoiser, module.noise_scheduler, *arguments)
    expected = torch.Generator().manual_seed(int(batch["sample_seed"][0]))
    torch.randn(1, *conditions.erased_latents.shape[1:], generator=expected)
    assert torch.equal(states[0], expected.get_state())
