"""Audio-visual fusion ablations: which wiring of sound and sight, at which layer, at what cost."""

__version__ = "0.1.0"
