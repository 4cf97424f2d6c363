"""What a network is: frozen values, no torch. The families that an experiment can name."""

from mbt_cli.architecture.attend_fusion import AttendFusion
from mbt_cli.architecture.mbt import MBT

__all__ = ["MBT", "AttendFusion", "Model"]

Model = MBT | AttendFusion
