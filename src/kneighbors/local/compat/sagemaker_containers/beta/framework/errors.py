"""Errors that scripts catch or raise."""


class ClientError(Exception):
    """A request or a setting is at fault."""


class UnsupportedFormatError(Exception):
    """A content type that nothing here reads or writes."""

    def __init__(self, content_type: object, **others: object) -> None:
        self.message = f"Content type {content_type} is not supported by this framework."
        super().__init__(self.message, **others)


class ChannelDoesNotExistException(Exception):
    """A channel that the job does not have."""

    def __init__(self, channel_name: str) -> None:
        super().__init__(f"Channel {channel_name} is not a valid channel.")
