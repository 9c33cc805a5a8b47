"""Scripts that AWS's images run from an archive; nothing of ours imports them."""
