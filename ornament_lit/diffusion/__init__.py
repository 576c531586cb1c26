"""The diffusion process: noise, timesteps, the sampler, and when it refreshes mask and features."""
