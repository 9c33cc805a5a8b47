"""What programs of other Python environments load; see `kneighbors_redirect`."""
