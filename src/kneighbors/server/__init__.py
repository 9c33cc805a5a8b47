"""The endpoint over HTTP: it translates requests to `kneighbors.sagemaker.model.Model` and back.

`run.serve` serves an artifact with several processes; `app.create_app` is the ASGI application
alone, for another server. Nothing here computes, and importing this package imports none of its
modules.
"""
