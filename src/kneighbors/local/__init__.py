"""SageMaker on this machine."""
