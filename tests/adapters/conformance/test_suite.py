"""The suite on our own adapters."""

from conformance.suite import *
