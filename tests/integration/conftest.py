"""The real template in moto, for this suite."""

from tests.support.deployed import aws_environment, deployed, functions

__all__ = ["aws_environment", "deployed", "functions"]
