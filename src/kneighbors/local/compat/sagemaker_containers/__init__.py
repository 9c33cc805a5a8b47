"""What scripts of older SageMaker containers import, where the real package is not installed."""
