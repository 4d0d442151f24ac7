"""Check what somebody else's machine says a model answered."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("verifiable")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
