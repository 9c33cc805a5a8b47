"""Amazon SageMaker's contracts: what a training job and a hosted model have to do.

Nothing here listens on a port: `model.Model` answers requests that somebody else received.
Importing this package imports none of its modules.
"""
