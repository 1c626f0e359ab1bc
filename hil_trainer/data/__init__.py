"""Observations, replay buffers and demonstrations."""
